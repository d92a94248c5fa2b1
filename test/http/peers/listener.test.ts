import { once } from "node:events";
import { createServer, type IncomingMessage, request as startRequest } from "node:http";
import net, { type AddressInfo } from "node:net";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { Grant } from "../../../src/http/grant.ts";
import { UNLIMITED } from "../../../src/http/grant.ts";
import { type ForwardedHead, Forwarder, QUESTION_PATH } from "../../../src/http/peers/forward.ts";
import { guardPeers, listenForPeers, makePeerServer } from "../../../src/http/peers/listener.ts";
import { SIGN_PATH } from "../../../src/http/peers/peer-watch.ts";
import { freshly, PEER_HEADER, PeerSeal } from "../../../src/http/peers/seal.ts";
import { Strangers } from "../../../src/http/strangers.ts";
import { makeCertificate } from "../../support/certificate.ts";

const SECRET = new TextEncoder().encode("a secret of all servers behind one engine");
const seal = new PeerSeal(SECRET);
const GRANT: Grant = { may: ["files"], vms: { keys: [["one"]], actors: ["vm"] } };

let url: string;
let port: number;
/** Requests that have passed, with the rights of their senders. */
const passed: { url: string | undefined; grant: Grant | undefined; headers: string[] }[] = [];
const refused: string[] = [];
let strangers: Strangers;

beforeEach(async () => {
  passed.length = 0;
  refused.length = 0;
  strangers = new Strangers();
  const grants = new WeakMap<object, Grant>();
  const take = (request: IncomingMessage) =>
    passed.push({ url: request.url, grant: grants.get(request), headers: request.rawHeaders });
  const server = createServer((request, response) => {
    take(request);
    if (request.url === OPEN_PREVIEW) strangers.of(request.socket).admit(UNLIMITED);
    request.pipe(response);
  });
  server.on("upgrade", (request, socket) => {
    take(request);
    socket.end("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  });
  guardPeers(server, {
    seal,
    server: "b",
    strangers,
    here: async (actorId) => (actorId === "gone" ? undefined : { name: "vm", key: ["one"] }),
    facts: async () => ({}),
    admit: (request, grant) => void grants.set(request, grant),
    onRefused: (reason) => void refused.push(reason),
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  port = (server.address() as AddressInfo).port;
  url = `http://127.0.0.1:${port}`;
});

/** Path of a request whose own token the server takes. */
const OPEN_PREVIEW = "/gateway/actor/request/fetch/open/";

const HEAD = { method: "POST", url: "/gateway/actor/action/exec", actorId: "actor" };

/** Sends a request with a signature as another program could. @returns its status */
async function send(
  signature: string | string[] | undefined,
  {
    method = HEAD.method,
    path = HEAD.url,
    headers = {},
  }: { method?: string; path?: string; headers?: object } = {},
): Promise<number | undefined> {
  const request = startRequest(`${url}${path}`, {
    method,
    headers: { ...headers, ...(signature !== undefined && { [PEER_HEADER]: signature }) },
  });
  request.end(method === "POST" ? "body" : undefined);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

const sealed = (more: object = {}) =>
  seal.seal("request", { ...freshly(), to: "b", ...HEAD, grant: GRANT, ...more });

/** Hands a request to the server as another server does. @returns the outcome, and the body of the answer */
function forward(head: Partial<ForwardedHead> = {}, by = seal, ca?: string): Promise<string> {
  const forwarder = new Forwarder(by, ca);
  const whole = { ...HEAD, grant: GRANT, headers: { host: "x" }, ...head };
  let outcome = "taken";
  return new Promise((resolve) => {
    forwarder.begin({ server: "b", url }, whole, new AbortController().signal, {
      taken(outgoing) {
        outgoing.once("response", (answer) => {
          let text = "";
          answer.on("data", (piece) => {
            text += piece;
          });
          answer.once("end", () => resolve(`${outcome} ${text}`));
        });
        outgoing.end("body");
      },
      admitted: () => {
        outcome += ", admitted,";
      },
      sent: () => undefined,
      moved: () => resolve("moved"),
      lost: ({ message }) => resolve(`lost: ${message}`),
      failed: ({ message }) => resolve(`failed: ${message}`),
    });
  });
}

test("takes a request of a server with the same secret, with the rights of its sender, and shows no signature", async () => {
  expect(await forward({ headers: { host: "x", "transfer-encoding": "chunked" } })).toBe("taken body");
  expect(passed).toMatchObject([{ url: HEAD.url, grant: GRANT }]);
  expect(passed[0]?.headers.join()).not.toContain(PEER_HEADER);
});

test("says before the body whether it has the VM", async () => {
  expect(await forward({ actorId: "gone" })).toBe("moved");
  expect(passed).toEqual([]);
});

test("says of a request without rights of its sender when the VM takes its own token", async () => {
  const head = { grant: undefined, headers: { host: "x", "transfer-encoding": "chunked" } } as const;
  expect(await forward({ ...head, url: OPEN_PREVIEW })).toBe("taken, admitted, body");
  expect(await forward(head)).toBe("taken body");
});

test("refuses a request without a signature, with a foreign, a changed or a doubled one, and one for another server", async () => {
  const foreign = new PeerSeal(new TextEncoder().encode("another secret, which is as long as the first"));
  const [content = "", mac = ""] = sealed().split(".");
  const changed = Buffer.from(content, "base64url").toString().replace('"files"', '"admin"');
  const forged = [
    undefined,
    "",
    "x.y",
    foreign.seal("request", { ...freshly(), to: "b", ...HEAD, grant: GRANT }),
    `${Buffer.from(changed).toString("base64url")}.${mac}`,
    `${content}.`,
    [sealed(), sealed()],
    sealed({ to: "a" }),
    seal.seal("answer", { ...freshly(), to: "b", ...HEAD, grant: GRANT }),
    seal.seal("question", { ...freshly(), to: "b", ...HEAD }),
    sealed({ extra: 1 }),
  ];
  for (const signature of forged) expect(await send(signature)).toBe(401);
  expect(await send(sealed(), { path: "/gateway/other/action/exec" })).toBe(401);
  expect(await send(sealed(), { method: "GET" })).toBe(401);
  expect(passed).toEqual([]);
  expect(new Set(refused)).toEqual(new Set(["unsigned"]));
});

test("refuses a repeated request and one of another time", async () => {
  const once = sealed();
  expect([await send(once), await send(once)]).toEqual([200, 401]);
  for (const at of [Date.now() - 31_000, Date.now() + 31_000]) expect(await send(sealed({ at }))).toBe(401);
  expect(refused).toEqual(["repeated", "clock", "clock"]);
  expect(passed).toHaveLength(1);
});

test.each([
  [QUESTION_PATH, 204],
  [SIGN_PATH, 421],
])(
  "answers %s again and again, notes nothing of it, and still counts its connection",
  async (path, status) => {
    const admit = vi.spyOn(strangers, "admit");
    const get = { method: "GET", url: path, grant: undefined };
    const question = sealed(get);
    for (let count = 0; count < 3; count++)
      expect(await send(question, { method: "GET", path })).toBe(status);
    const old = sealed({ ...get, at: Date.now() - 31_000 });
    expect(await send(old, { method: "GET", path })).toBe(401);
    expect(refused).toEqual(["clock"]);
    expect(admit).not.toHaveBeenCalled();
  },
);

test("a question cannot begin a WebSocket", async () => {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(
    `GET ${QUESTION_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${PEER_HEADER}: ${sealed({ method: "GET", url: QUESTION_PATH })}\r\n\r\n`,
  );
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
  expect(passed).toEqual([]);
});

test("refuses an upgrade without a signature", async () => {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(
    `GET /gateway/actor/connect HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
  expect(passed).toEqual([]);
});

test("sends no body to a server that does not show that it has the secret", async () => {
  const seen = vi.fn();
  const impostor = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (piece) => {
      seen(String(piece));
      socket.write(
        "HTTP/1.1 103 Early Hints\r\nx-agent-vm-peer-proof: x.y\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
      );
    });
  });
  await once(impostor.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void impostor.close());
  url = `http://127.0.0.1:${(impostor.address() as AddressInfo).port}`;
  expect(await forward()).toBe("failed: the answer is not from a server with the same secret");
  expect(seen.mock.calls.join()).not.toContain("body");
});

test("takes requests over TLS, and sends nothing to a server whose certificate nobody has signed", async () => {
  const tls = await makeCertificate("localhost");
  const server = makePeerServer({ url: "", host: "127.0.0.1", port: 0, tls });
  server.on("request", (request, response) => request.pipe(response));
  guardPeers(server, {
    ...{ seal, server: "b", strangers: new Strangers() },
    here: async () => ({ name: "vm", key: ["one"] }),
    facts: async () => ({}),
    admit: () => undefined,
    onRefused: () => undefined,
  });
  await listenForPeers(server, { url: "", host: "127.0.0.1", port: 0, tls });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  url = `https://localhost:${(server.address() as AddressInfo).port}`;
  const headers = { host: "x", "transfer-encoding": "chunked" };
  expect(await forward({ headers }, seal, tls.cert)).toBe("taken body");
  expect(await forward({ headers })).toMatch(/^failed: .*self-signed/);
});

test("says that a request has not begun when nobody listens", async () => {
  url = "http://127.0.0.1:1";
  expect(await forward()).toMatch(/^failed: .*ECONNREFUSED/);
});
