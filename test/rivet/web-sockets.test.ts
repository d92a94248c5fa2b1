// @module-tag attack
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { MAX_CALL_VALUES, MAX_JSON_ESCAPES } from "../../src/api/limits.ts";
import { toCbor } from "../../src/client/rivet/values.ts";
import { makeActor } from "../support/plain-actor.ts";
import { sharedServer } from "../support/servers.ts";
import { type WsClient, wsClient } from "../support/ws-client.ts";

const server = sharedServer();
const TOO_MANY = { body: Array(MAX_CALL_VALUES + 1_000).fill(1) };

async function connect(protocols: string[], headers: Record<string, string> = {}): Promise<WsClient> {
  const actorId = await makeActor(server(), "web-sockets");
  const url = `${server().endpoint.replace("http", "ws")}/gateway/${actorId}/connect`;
  const socket = wsClient(url, ["rivet", ...protocols, "rivet_conn_params.%7B%7D"], { headers });
  await once(socket, "open");
  return socket;
}

const call = (name: string, args: unknown[]) => ({
  body: { tag: "ActionRequest", val: { id: ["$BigInt", "0"], name, args } },
});

describe("the values of a message are counted as RivetKit decodes them", () => {
  test.each<[string[], "cbor" | "json"]>([
    [[], "json"],
    [["rivet_encoding.cbor", "rivet_encoding.json"], "json"],
    [["rivet_encoding.json", "rivet_encoding.cbor"], "cbor"],
  ])("with the protocols %j", async (protocols, encoding) => {
    const socket = await connect(protocols);
    const closed = once(socket, "close");
    socket.send(encoding === "cbor" ? toCbor(TOO_MANY) : JSON.stringify(TOO_MANY));
    const [code, reason] = (await closed) as [number, Buffer];
    expect([code, reason.toString()]).toEqual([1009, "user.invalid_argument"]);
  });
});

describe("a result with too many escapes is refused for a client that reads JSON", () => {
  test.each<[string[], Record<string, string>]>([
    [[], {}],
    [["rivet_encoding.json", "cbor"], {}],
    [["rivet_encoding.cbor", "rivet_encoding.json"], {}],
    [["rivet_encoding.json"], { "x-rivet-encoding": "bare" }],
  ])("with the protocols %j and the headers %j", async (protocols, headers) => {
    const socket = await connect(protocols, headers);
    try {
      const answered = new Promise<string>((resolve) => {
        socket.on("message", (data: unknown) => {
          const text = String(data);
          if (!text.includes('"Init"')) resolve(text.slice(0, 1_000));
        });
        socket.on("close", (code: number) => resolve(`closed with ${code}`));
      });
      const command = `head -c ${MAX_JSON_ESCAPES + 1} /dev/zero | tr '\\0' '\\n'`;
      socket.send(JSON.stringify(call("exec", [command])));
      expect(await answered).toContain("response_too_large");
    } finally {
      socket.terminate();
    }
  });
});
