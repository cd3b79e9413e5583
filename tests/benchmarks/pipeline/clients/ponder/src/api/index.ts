import { Hono } from "hono";
import { count } from "ponder";
import { db } from "ponder:api";
import schema from "ponder:schema";

const app = new Hono();

app.get("/stored", async (context) => {
  const [simple] = await db.select({ rows: count() }).from(schema.positionChanged);
  const [nested] = await db.select({ rows: count() }).from(schema.eventLog1);
  return context.json({ rows: simple!.rows + nested!.rows });
});

export default app;
