// @module-tag any-user
import { expect, test } from "vitest";
import { z } from "zod";
import type { HostFunctionContext } from "../../../src/runtime/host-functions/types.ts";
import { startVm } from "../../support/vm.ts";

interface Message {
  id?: number | null;
  method?: string;
  result?: Record<string, unknown>;
  error?: { code: number };
  params?: Record<string, unknown>;
}

const aborted: unknown[] = [];

const hostFunctions = {
  weather: {
    forecast: {
      inputSchema: z.object({ city: z.string() }).describe("Tells the weather"),
      execute: ({ city }: { city: string }) => ({ city, sky: "clear" }),
    },
    slow: {
      inputSchema: z.object({}),
      async execute(_input: unknown, { signal, progress }: HostFunctionContext) {
        await progress("waiting");
        return await new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.push(signal.reason);
            reject(signal.reason as Error);
          });
        });
      },
    },
  },
};

/** Starts `agentos mcp` and speaks with it. */
async function connect() {
  const { vm, output, outputHas, event } = startVm({ hostFunctions });
  const { pid } = await vm.spawn("agentos", ["mcp"]);
  const messages = () =>
    output(pid)
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Message);
  const send = (message: object | string) =>
    vm.writeProcessStdin(pid, `${typeof message === "string" ? message : JSON.stringify(message)}\n`);
  const ask = async (id: number, method: string, params: object = {}) => {
    await send({ jsonrpc: "2.0", id, method, params });
    await outputHas(pid, `"id":${id},`);
    return messages().find((message) => message.id === id);
  };
  return { vm, pid, send, ask, messages, outputHas, event };
}

test("agents find host functions as tools and call them", async () => {
  const { ask, send, vm, pid, event } = await connect();
  const hello = await ask(1, "initialize", { protocolVersion: "2025-06-18", capabilities: {} });
  expect(hello?.result).toMatchObject({ protocolVersion: "2025-06-18", capabilities: { tools: {} } });
  await send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const listed = await ask(2, "tools/list");
  expect(listed?.result?.tools).toContainEqual({
    name: "weather_forecast",
    description: "Tells the weather",
    inputSchema: expect.objectContaining({ type: "object", required: ["city"] }),
  });
  const called = await ask(3, "tools/call", { name: "weather_forecast", arguments: { city: "Bonn" } });
  expect(called?.result).toEqual({ content: [{ type: "text", text: '{"city":"Bonn","sky":"clear"}' }] });
  const wrong = await ask(4, "tools/call", { name: "weather_forecast", arguments: {} });
  expect(wrong?.result).toMatchObject({ isError: true });
  await vm.closeProcessStdin(pid);
  expect(await event("processExit", (end) => end.pid === pid)).toMatchObject({ exitCode: 0 });
});

test("a call over MCP reports progress and can be cancelled", async () => {
  const { ask, send, messages, outputHas, pid } = await connect();
  const params = { name: "weather_slow", _meta: { progressToken: "p" } };
  await send({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
  await outputHas(pid, "notifications/progress");
  expect(messages().at(-1)?.params).toEqual({ progressToken: "p", progress: 1, message: "waiting" });
  const before = aborted.length;
  await send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } });
  await ask(2, "ping");
  await expect.poll(() => aborted.length).toBe(before + 1);
  expect(messages().filter(({ id }) => id === 1)).toEqual([]);
});

test("an MCP client that speaks nonsense gets errors and harms nobody", async () => {
  const { ask, send, messages } = await connect();
  for (const line of ["{", "[]", "null", '{"id":{},"method":"ping"}', '{"id":1}', ""]) await send(line);
  expect((await ask(7, "no/such/method"))?.error).toMatchObject({ code: -32_601 });
  expect((await ask(8, "tools/call", { name: "__proto__" }))?.error).toMatchObject({ code: -32_602 });
  expect((await ask(9, "tools/call", { arguments: 7 }))?.error).toMatchObject({ code: -32_602 });
  expect(messages().filter(({ id }) => id === null)).toHaveLength(5);
  expect((await ask(10, "ping"))?.result).toEqual({});
});
