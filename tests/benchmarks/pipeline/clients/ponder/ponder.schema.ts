import { onchainTable } from "ponder";

export const positionChanged = onchainTable("position_changed", (t) => ({
  id: t.text().primaryKey(),
  blockNumber: t.bigint().notNull(),
  blockTime: t.bigint().notNull(),
  transactionHash: t.hex().notNull(),
  logIndex: t.integer().notNull(),
  trader: t.hex().notNull(),
  baseToken: t.hex().notNull(),
  exchangedPositionSize: t.bigint().notNull(),
  exchangedPositionNotional: t.bigint().notNull(),
  fee: t.bigint().notNull(),
  openNotional: t.bigint().notNull(),
  realizedPnl: t.bigint().notNull(),
  sqrtPriceAfterX96: t.bigint().notNull(),
}));

export const eventLog1 = onchainTable("event_log_1", (t) => ({
  id: t.text().primaryKey(),
  blockNumber: t.bigint().notNull(),
  blockTime: t.bigint().notNull(),
  transactionHash: t.hex().notNull(),
  logIndex: t.integer().notNull(),
  msgSender: t.hex().notNull(),
  eventName: t.text().notNull(),
  topic1: t.hex().notNull(),
  eventData: t.json().notNull(),
}));
