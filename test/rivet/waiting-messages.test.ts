// @module-tag slow
// @module-tag attack
import { once } from "node:events";
import { test } from "vitest";
import { makeActor } from "../support/plain-actor.ts";
import { startTestServer } from "../support/servers.ts";
import { until } from "../support/until.ts";
import { wsClient } from "../support/ws-client.ts";

const HOUR_MS = 3_600_000;
const PROTOCOLS = ["rivet", "rivet_encoding.json", "rivet_conn_params.%7B%7D"];

const callOf = (id: number, name: string, args: unknown[]) =>
  JSON.stringify({ body: { tag: "ActionRequest", val: { id: ["$BigInt", `${id}`], name, args } } });

test("calls that wait behind a long call of their connection are bounded, and other connections go on", async () => {
  const server = await startTestServer({ kind: "fake", process: true });
  const url = `${server.endpoint.replace("http", "ws")}/gateway/${await makeActor(server)}/connect`;
  const flood = wsClient(url, PROTOCOLS);
  const witness = wsClient(url, PROTOCOLS);
  try {
    let answers = 0;
    witness.on("message", (data) => {
      if (String(data).includes('"ActionResponse"')) answers += 1;
    });
    flood.on("error", () => undefined);
    await Promise.all([flood, witness].map((socket) => once(socket, "open")));
    const closed = once(flood, "close");
    flood.send(callOf(1, "exec", [`sleep ${HOUR_MS}`]));
    const large = callOf(2, "writeFile", ["/file", "x".repeat(20 << 20)]);
    witness.send(callOf(1, "exec", ["sleep 1000"]));
    witness.send(callOf(2, "writeFile", ["/file", "x".repeat(1 << 20)]));
    for (let call = 0; call < 20; call++) flood.send(large);
    await closed;
    await until(() => answers === 2);
    // Calls that are answered at once count no longer.
    for (let call = 3; call <= 16; call++) {
      witness.send(large);
      await until(() => answers === call);
    }
  } finally {
    for (const socket of [flood, witness]) socket.terminate();
    await server.stop();
  }
});
