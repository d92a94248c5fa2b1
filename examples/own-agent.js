// A minimal agent of your own. An agent is any program that speaks the Agent Client Protocol, a JSON message a line, on stdin and stdout.
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

let lastId = 0;
const waiting = new Map();
const send = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const say = (sessionId, text) =>
  send({
    method: "session/update",
    params: {
      sessionId,
      update: { sessionUpdate: "agent_message_chunk", content: { type: "text", text } },
    },
  });
const ask = (method, params) =>
  new Promise((resolve) => {
    waiting.set(++lastId, resolve);
    send({ id: lastId, method, params });
  });

const methods = {
  initialize: () => ({ protocolVersion: 1, agentInfo: { name: "own", version: "1.0.0" } }),
  "session/new": () => ({ sessionId: "1" }),
  async "session/prompt"({ sessionId, prompt }) {
    const text = prompt.at(-1).text;
    say(sessionId, "I would like to write that down. ");
    const { outcome } = await ask("session/request_permission", {
      sessionId,
      toolCall: { toolCallId: "1", title: `write note.txt: ${text}`, kind: "edit" },
      options: [
        { optionId: "yes", name: "Write it", kind: "allow_once" },
        { optionId: "no", name: "Leave it", kind: "reject_once" },
      ],
    });
    if (outcome.optionId === "yes") writeFileSync("note.txt", `${text}\n`);
    say(sessionId, outcome.optionId === "yes" ? "Done." : "Then I will not.");
    return { stopReason: "end_turn" };
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, method, params, result } = JSON.parse(line);
  if (method === undefined) waiting.get(id)(result);
  else if (id === undefined) return;
  else if (Object.hasOwn(methods, method)) send({ id, result: await methods[method](params) });
  else send({ id, error: { code: -32601, message: `Method not found: ${method}` } });
});
