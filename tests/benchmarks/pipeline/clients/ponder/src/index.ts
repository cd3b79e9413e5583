import { type Context, type Event, ponder } from "ponder:registry";
import schema from "ponder:schema";

const place = (event: Event) => ({
  id: event.id,
  blockNumber: event.block.number,
  blockTime: event.block.timestamp,
  transactionHash: event.transaction.hash,
  logIndex: event.log.logIndex,
});

const handlers: Record<string, (args: { event: any; context: Context }) => Promise<void>> = {
  PositionChanged: async ({ event, context }) => {
    await context.db.insert(schema.positionChanged).values({ ...place(event), ...event.args });
  },
  EventLog1: async ({ event, context }) => {
    const { msgSender, eventName, topic1, eventData } = event.args;
    const text = JSON.stringify(eventData, (_, value) =>
      typeof value === "bigint" ? value.toString() : value,
    );
    await context.db
      .insert(schema.eventLog1)
      .values({ ...place(event), msgSender, eventName, topic1, eventData: JSON.parse(text) });
  },
};

const name = process.env.BENCH_EVENT as string;
ponder.on(`Emitter:${name}` as never, handlers[name] as never);
