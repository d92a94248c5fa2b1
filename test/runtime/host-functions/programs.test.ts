// @module-tag any-user
import { expect, test } from "vitest";
import { z } from "zod";
import { hostFunction } from "../../../src/runtime/host-functions/types.ts";
import { fileVm, startVm } from "../../support/vm.ts";

const forecast = hostFunction({
  inputSchema: z
    .object({
      city: z.string().min(2).describe("Name of the city"),
      maxDays: z.int().default(3).describe("Number of days"),
      metric: z.boolean().optional(),
    })
    .describe("Tells the weather"),
  execute: ({ city, maxDays, metric }) => ({ city, maxDays, metric }),
  examples: [{ description: "Berlin's weather", input: { city: "Berlin" } }],
});

const machine = fileVm({
  hostFunctions: {
    weather: {
      forecast,
      fail: { inputSchema: z.object({}), execute: () => Promise.reject(new Error("no such station")) },
      nothing: { inputSchema: z.object({}), execute: () => undefined },
      big: { inputSchema: z.object({}), execute: () => 10n },
    },
    textTools: {
      countBytes: {
        description: "Counts the bytes of stdin",
        inputSchema: z.object({}),
        async execute(_input, { stdin, progress }) {
          let bytes = 0;
          for await (const piece of stdin) {
            bytes += piece.length;
            await progress(`${bytes} so far`);
          }
          return bytes;
        },
      },
    },
  },
  bindings: [
    {
      name: "orders",
      description: "The shop's orders",
      bindings: {
        list: { description: "Lists orders", inputSchema: z.object({}), execute: async () => ["a", "b"] },
      },
    },
  ],
});

const run = async (line: string) => {
  const { stdout, stderr, exitCode } = await machine().vm.exec(line);
  return { stdout, stderr, exitCode };
};

test("a program calls a host function with flags and prints its result", async () => {
  expect(await run("agentos-weather forecast --city Berlin --max-days 5 --metric")).toEqual({
    stdout: '{"ok":true,"result":{"city":"Berlin","maxDays":5,"metric":true}}\n',
    stderr: "",
    exitCode: 0,
  });
  expect((await run("agentos-orders list")).stdout).toBe('{"ok":true,"result":["a","b"]}\n');
  expect((await run("agentos-weather nothing")).stdout).toBe('{"ok":true,"result":null}\n');
});

test("a program takes its input as JSON, from a file and from stdin", async () => {
  const result = '{"ok":true,"result":{"city":"Bonn","maxDays":3}}\n';
  expect((await run(`agentos-weather forecast --json '{"city":"Bonn"}'`)).stdout).toBe(result);
  const file = `cd /tmp; echo '{"city":"Bonn"}' > in.json; agentos-weather forecast --json-file in.json`;
  expect((await run(file)).stdout).toBe(result);
  expect((await run(`echo '{"city":"Bonn"}' | agentos-weather forecast --json-file -`)).stdout).toBe(result);
});

test.each<[line: string, message: string]>([
  ["agentos-weather forecast", "Missing required flag: --city\n"],
  [
    "agentos-weather forecast --city X",
    "Invalid input: city: Too small: expected string to have >=2 characters\n",
  ],
  ["agentos-weather forecast --json '{\"city\":7}'", "Invalid input: city: Invalid input: expected string"],
  ["agentos-weather forecast --json '{'", "The input is not JSON: "],
  ["agentos-weather forecast --json-file /nowhere", "Cannot read /nowhere: No such file or directory\n"],
  ["agentos-weather forecast --json-file /tmp", "Cannot read /tmp: Is a directory\n"],
  ["agentos-weather fail", "no such station\n"],
  ["agentos-weather big", "Do not know how to serialize a BigInt"],
  ["agentos-weather constructor", "Unknown function: constructor. agentos-weather has forecast, "],
  ["agentos bogus", "Unknown command: bogus. See agentos --help.\n"],
  ["agentos list-bindings bogus", "Unknown name: bogus. The host has weather, text-tools, orders.\n"],
])("`%s` fails with a line on stderr", async (line, message) => {
  const { stdout, stderr, exitCode } = await run(line);
  expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 1 });
  expect(stderr.startsWith(message), stderr).toBe(true);
});

test("stdin streams to a function, and its progress to stderr", async () => {
  const { vm, outputHas, output, event } = machine();
  const { pid } = await vm.spawn("agentos-text-tools", ["count-bytes"]);
  await vm.writeProcessStdin(pid, "12345");
  await outputHas(pid, "5 so far\n", "stderr");
  await vm.writeProcessStdin(pid, "678");
  await outputHas(pid, "8 so far\n", "stderr");
  await vm.closeProcessStdin(pid);
  await event("processExit", (end) => end.pid === pid);
  expect(output(pid)).toBe('{"ok":true,"result":8}\n');
});

test("a function that reads no stdin leaves it to the next command", async () => {
  expect((await run("printf 'a\\nb\\n' | { agentos-orders list; cat; }")).stdout).toBe(
    '{"ok":true,"result":["a","b"]}\na\nb\n',
  );
});

test("--help describes functions and flags from the schema", async () => {
  expect((await run("agentos-weather forecast --help")).stdout).toBe(`Tells the weather

Usage: agentos-weather forecast --city TEXT [--max-days NUMBER] [--[no-]metric]

Flags:
  --city TEXT        Name of the city (required)
  --max-days NUMBER  Number of days (default 3)
  --[no-]metric
  --json JSON        the whole input as JSON
  --json-file PATH   the whole input from a file, or from stdin for -
  --help             this text

Examples:
  # Berlin's weather
  agentos-weather forecast --json '{"city":"Berlin"}'
`);
  expect((await run("agentos-orders")).stdout).toContain("list  Lists orders");
  expect((await run("agentos --help")).stdout).toContain("agentos-orders --help");
});

test("agentos lists all functions with their schemas", async () => {
  const { stdout } = await run("agentos list-host-functions orders");
  expect(JSON.parse(stdout)).toEqual({
    ok: true,
    result: [
      {
        name: "orders",
        program: "agentos-orders",
        description: "The shop's orders",
        functions: [
          {
            name: "list",
            description: "Lists orders",
            inputSchema: { type: "object", properties: {} },
          },
        ],
      },
    ],
  });
  const all = JSON.parse((await run("agentos list-bindings")).stdout) as { result: { name: string }[] };
  expect(all.result.map(({ name }) => name)).toEqual(["weather", "text-tools", "orders"]);
});

test("the programs are there again after a sleep, and a VM without functions has none", async () => {
  const { vm } = startVm({ hostFunctions: { weather: { forecast } } });
  expect((await vm.exec("agentos-weather forecast --city Ulm")).exitCode).toBe(0);
  await vm.exec("kill -9 -1");
  expect((await vm.exec("agentos-weather forecast --city Ulm")).exitCode).toBe(0);
  expect((await startVm().vm.exec("command -v agentos")).exitCode).toBe(1);
});
