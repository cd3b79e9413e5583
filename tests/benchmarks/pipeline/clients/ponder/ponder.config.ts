import { createConfig } from "ponder";

const { BENCH_ABI, BENCH_ADDRESS, BENCH_CHAIN, BENCH_FIRST, BENCH_LAST, BENCH_RPC } =
  process.env as Record<string, string>;

const postgres = process.env.BENCH_POSTGRES;

export default createConfig({
  database: postgres
    ? { kind: "postgres", connectionString: postgres }
    : { kind: "pglite", directory: process.env.BENCH_PGLITE! },
  chains: { bench: { id: Number(BENCH_CHAIN), rpc: JSON.parse(BENCH_RPC), disableCache: true } },
  contracts: {
    Emitter: {
      chain: "bench",
      abi: JSON.parse(BENCH_ABI),
      address: BENCH_ADDRESS as `0x${string}`,
      startBlock: Number(BENCH_FIRST),
      endBlock: Number(BENCH_LAST),
    },
  },
});
