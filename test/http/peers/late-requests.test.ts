import { once } from "node:events";
import { request as startRequest } from "node:http";
import net, { type AddressInfo, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { previewOf, startFront, VM } from "../../support/front.ts";
import { until } from "../../support/until.ts";

vi.mock("../../../src/http/peers/limits.ts", async (load) => ({
  ...(await load<typeof import("../../../src/http/peers/limits.ts")>()),
  PEER_ANSWER_MS: 300,
  PEER_SIGN_MS: 300,
  PEER_RETRY_MS: 10,
}));

/** Starts what stands before a server that may stand still: bytes for it wait then, as in its own buffers. */
async function startStill(target: string) {
  const still = {
    is: false,
    /** Text of the server's answer after which it stands still. */
    after: undefined as string | undefined,
    release: (): void => undefined,
  };
  const waiting: (() => void)[] = [];
  const proxy = net.createServer((client) => {
    const server = net.connect(Number(new URL(target).port), "127.0.0.1");
    const deliver = (work: () => void) => (still.is ? void waiting.push(work) : work());
    const ends: [Socket, Socket][] = [
      [client, server],
      [server, client],
    ];
    for (const [from, to] of ends) {
      from.on("error", () => undefined);
      from.on("data", (piece: Buffer) => {
        deliver(() => void to.write(piece));
        if (from === server && still.after !== undefined) still.is = piece.includes(still.after);
      });
      from.on("close", () => deliver(() => void to.end()));
    }
    onTestFinished(() => {
      client.destroy();
      server.destroy();
    });
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void proxy.close());
  still.release = () => {
    still.is = false;
    for (const work of waiting.splice(0)) work();
  };
  return { still, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
}

/** Starts a front and a server that may stand still, and counts what runs there. */
async function start() {
  const ran: string[] = [];
  let still: Awaited<ReturnType<typeof startStill>>["still"] | undefined;
  const front = await startFront(
    () => (request, response) => {
      ran.push(`${request.method} ${request.url?.split("/").at(-1)}`);
      response.end("from the VM");
    },
    async (target) => {
      const made = await startStill(target);
      still = made.still;
      return made.url;
    },
  );
  if (still === undefined) throw new Error("unreachable");
  /** Sends a request, and one after it on a connection of its own, which ends when the server has read all before it. */
  const last = async () => {
    await until(async () => (await fetch(front.url + previewOf(VM, "last"))).status === 200);
    return ran.filter((each) => !each.endsWith("last"));
  };
  return { url: front.url, ran, still, last };
}

const upgrade = { connection: "Upgrade", upgrade: "websocket" };

test.each([
  ["DELETE", undefined, {}],
  ["POST", undefined, {}],
  ["POST", "with a body", {}],
  ["GET", undefined, upgrade],
] as const)(
  "a %s (body: %s) that ends while the server stands still never runs",
  async (method, body, headers) => {
    const { url, still, last } = await start();
    await last();
    still.is = true;
    const request = startRequest(url + previewOf(VM, "first"), { method, headers });
    request.end(body);
    const [response] = await once(request, "response");
    expect(response.statusCode).toBe(503);
    still.release();
    expect(await last()).toEqual([]);
  },
);

test("a request that is on its way when the server stands still is lost, and runs once", async () => {
  const { url, still, last } = await start();
  await last();
  still.after = "HTTP/1.1 204";
  const answered = await fetch(url + previewOf(VM, "first"), { method: "DELETE" });
  expect([answered.status, await answered.text()]).toEqual([503, expect.stringContaining("call_lost")]);
  still.after = undefined;
  still.release();
  expect(await last()).toEqual(["DELETE first"]);
});
