// Calls getLiquidationPrice of a fetched @gmx-io/sdk: node gmx_sdk.cjs PACKAGE < inputs > prices
//
// Inputs are a JSON list of its arguments, integers as {"int": "..."}; prices are strings or null.
// The arithmetic is the SDK's own file alone. What else it imports is for formatting and for nodes:
// constants stand in for it, and anything more that were asked of it would throw.

const Module = require("module");
const fs = require("fs");
const path = require("path");

const only = (name, known) =>
  new Proxy(known, {
    get(target, key) {
      if (key in target || typeof key === "symbol") return target[key];
      throw new Error(`the SDK asks for ${name}.${key}: fetch ${name}`);
    },
  });
const chains = ["arbitrum", "arbitrumSepolia", "avalanche", "avalancheFuji", "base", "bsc"];
const standIns = {
  viem: only("viem", {
    __esModule: true,
    zeroAddress: "0x" + "0".repeat(40),
    defineChain: (chain) => chain,
  }),
  "viem/chains": only("viem/chains", {
    __esModule: true,
    ...Object.fromEntries([...chains, "optimismSepolia", "sepolia"].map((name) => [name, {}])),
  }),
  "lodash/isPlainObject": only("lodash/isPlainObject", { __esModule: true }),
};
const load = Module._load;
Module._load = (name, ...rest) => standIns[name] ?? load(name, ...rest);

const { getLiquidationPrice } = require(
  path.join(path.resolve(process.argv[2]), "build/cjs/src/utils/positions.js")
);
const integers = (_, value) =>
  value !== null && typeof value === "object" && "int" in value ? BigInt(value.int) : value;
const prices = JSON.parse(fs.readFileSync(0, "utf8"), integers).map(
  (input) => getLiquidationPrice(input)?.toString() ?? null
);
process.stdout.write(JSON.stringify(prices));
