import type { VmRunOptions } from "../../src/runtime/hooks.ts";
import type { VmOptionsInput } from "../../src/runtime/options.ts";
import { startVm, type TestVm } from "./vm.ts";

/**
 * An agent that runs each prompt as JavaScript. The script may use `write(text)`, `send(message)`, and
 * `ask(method, params)`, which resolves with the response. The agent replies with the script's result.
 */
const PROGRAM = `
const { writeSync } = require("node:fs");
const write = (text) => {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
};
const send = (message) => write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n");
const waiting = new Map();
const ask = (method, params) =>
  new Promise((resolve) => {
    const id = "ask-" + waiting.size;
    waiting.set(id, resolve);
    send({ id, method, params });
  });
const sessionId = "raw";
const update = (update) => send({ method: "session/update", params: { sessionId, update } });
const answers = {
  initialize: () => ({ protocolVersion: 1, agentCapabilities: { loadSession: true } }),
  "session/new": () => ({ sessionId }),
  "session/load": () => ({}),
  "session/prompt": async ({ prompt }) => {
    const text = String(await eval("(async () => {" + prompt.at(-1).text + "})()"));
    update({ sessionUpdate: "agent_message_chunk", content: { type: "text", text } });
    return { stopReason: "end_turn" };
  },
};
require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method, params, ...answer } = JSON.parse(line);
  if (method === undefined) waiting.get(id)?.(answer);
  else if (id !== undefined) send({ id, result: await answers[method]?.(params) });
});
`;

/** Makes options of a VM with the raw agent. @param start JavaScript that the agent runs before its first message */
export function rawAgent(start = ""): VmOptionsInput {
  return { agents: { raw: { command: "node", args: ["-e", `${PROGRAM}\n${start}`] } } };
}

/** Starts a VM with the raw agent, without a server. */
export function rawVm(start?: string, run: VmRunOptions = {}): TestVm {
  return startVm(rawAgent(start), undefined, run);
}
