// @module-tag attack
import { once } from "node:events";
import { connect } from "node:net";
import tls from "node:tls";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Grant } from "../../../src/http/grant.ts";
import { STRANGER_IDLE_MS } from "../../../src/http/limits.ts";
import { Forwarder } from "../../../src/http/peers/forward.ts";
import { guardPeers, listenForPeers, makePeerServer } from "../../../src/http/peers/listener.ts";
import { PeerSeal } from "../../../src/http/peers/seal.ts";
import { Strangers } from "../../../src/http/strangers.ts";
import { makeCertificate } from "../../support/certificate.ts";

const GRANT: Grant = { may: ["files"], vms: { keys: [["one"]], actors: ["vm"] } };

test("over TLS a forwarded request outlives the time for strangers, and a connection without a signature does not", async () => {
  const certificate = await makeCertificate("localhost");
  const address = { url: "", host: "127.0.0.1", port: 0, tls: certificate };
  const server = makePeerServer(address);
  const strangers = new Strangers();
  strangers.watch(server);
  const { promise: served, resolve: serve } = Promise.withResolvers<() => void>();
  server.on("request", (_request, response) => {
    response.write("begun ");
    serve(() => response.end("ended"));
  });
  const seal = new PeerSeal(new TextEncoder().encode("a secret of all servers behind one engine"));
  guardPeers(server, {
    ...{ seal, server: "b", strangers },
    here: async () => ({ name: "vm", key: ["one"] }),
    facts: async () => ({}),
    admit: () => undefined,
    onRefused: () => undefined,
  });
  await listenForPeers(server, address);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());

  const { promise: answer, resolve, reject } = Promise.withResolvers<string>();
  new Forwarder(seal, certificate.cert).begin(
    { server: "b", url: `https://localhost:${port}` },
    { method: "GET", url: "/x", actorId: "a", grant: GRANT, headers: { host: "x" } },
    new AbortController().signal,
    {
      taken(outgoing) {
        outgoing.once("response", (response) => {
          let text = "";
          response.on("data", (piece) => {
            text += piece;
          });
          response.once("end", () => resolve(text)).once("error", reject);
        });
        outgoing.end();
      },
      sent: () => undefined,
      ...{ moved: () => reject(new Error("moved")), lost: reject, failed: reject },
    },
  );
  const end = await Promise.race([served, answer.then(() => () => undefined)]);

  // A connection without a handshake, and a connection that says nothing after its handshake.
  const raw = connect(port, "127.0.0.1");
  const silent = tls.connect({ port, host: "127.0.0.1", ca: certificate.cert, servername: "localhost" });
  for (const socket of [raw, silent]) socket.on("error", () => undefined).resume();
  const closed = Promise.all([once(raw, "close"), once(silent, "close")]);
  await once(silent, "secureConnect");
  vi.advanceTimersByTime(STRANGER_IDLE_MS);
  await closed;
  end();
  expect(await answer).toBe("begun ended");
});
