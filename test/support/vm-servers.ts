import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Vm } from "../../src/runtime/vm.ts";

/**
 * A web server for a VM. It answers with the request as JSON. Some paths answer differently:
 *
 * - `/hang` never answers, and `/cut` breaks off after half a body.
 * - `/mirror` returns the request's body, and `/bytes/N` a body of N bytes.
 * - `/status/N`, `/redirect`, `/login` and `/gzip` answer as they are named.
 * - `/slow` sends a body in two pieces, the second after a request of `/go`.
 * - `/closed` returns how many requests were cut before their end.
 * - `/arrived/NAME` answers once a request of `/hang/NAME` has arrived, and `/arrived/slow` after a request of `/slow`.
 */
const HTTP_SERVER = `
const http = require("node:http");
const zlib = require("node:zlib");
const [port, host] = process.argv.slice(2);
let closed = 0;
let go = () => {};
const arrived = new Set();
let waiting = [];
const came = (what) => {
  arrived.add(what);
  for (const [wanted, response] of waiting) if (wanted === what) response.end();
  waiting = waiting.filter(([wanted]) => wanted !== what);
};
const server = http.createServer((request, response) => {
  response.on("close", () => { if (!response.writableFinished) closed += 1; });
  const [, what, value] = request.url.split("/");
  if (what === "hang" || what === "slow") came(value ?? what);
  if (what === "arrived") return arrived.has(value) ? response.end() : waiting.push([value, response]);
  if (what === "hang") return;
  if (what === "closed") return response.end(String(closed));
  if (what === "cut") {
    response.writeHead(200, { "content-length": 100 });
    return response.write("half", () => request.socket.destroy());
  }
  if (what === "bytes") {
    let left = Number(value);
    response.writeHead(200, { "content-length": left });
    const piece = Buffer.alloc(65536, "x");
    const more = () => {
      while (left > 0) {
        const size = Math.min(left, piece.length);
        left -= size;
        if (!response.write(piece.subarray(0, size))) return response.once("drain", more);
      }
      response.end();
    };
    return more();
  }
  if (what === "status") { response.statusCode = Number(value); return response.end(); }
  if (what === "redirect") { response.writeHead(302, { location: "/elsewhere" }); return response.end(); }
  if (what === "login") {
    response.writeHead(303, { location: "http://localhost:" + port + "/home", "set-cookie": "s=1; Path=/app; Domain=x" });
    return response.end();
  }
  if (what === "gzip") {
    response.writeHead(200, { "content-encoding": "gzip" });
    return response.end(zlib.gzipSync("packed"));
  }
  if (what === "mirror") return request.pipe(response);
  if (what === "go") { go(); return response.end("gone"); }
  if (what === "slow") { response.write("first"); go = () => response.end("second"); return; }
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces);
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({
      method: request.method,
      url: request.url,
      headers: request.rawHeaders,
      body: body.length > 1000 ? body.length : body.toString(),
      connection: request.socket.remotePort,
    }));
  });
});
server.keepAliveTimeout = 60000;
server.on("listening", () => console.log("listening"));
server.listen(Number(port), host || undefined);
`;

/** Starts the web server in a VM. Resolves with its pid when it listens. */
export async function startHttpServer(vm: ServerHost, port: number, host = ""): Promise<number> {
  await vm.writeFiles([{ path: "/tmp/server.cjs", content: HTTP_SERVER }]);
  const { pid } = await vm.spawn("node", ["/tmp/server.cjs", String(port), host]);
  await vm.waitForPort(port);
  return pid;
}

/** Decodes a body. */
export function textOf({ body }: { body: Uint8Array }): string {
  return new TextDecoder().decode(body);
}

/**
 * A WebSocket server for a VM, with the `ws` of this checkout. It echoes messages, except for these: `close CODE REASON`
 * closes, `ping` pings and announces the pong, `protocol` returns the subprotocol and path, and `pause` stops reading until
 * a request of `/resume`. It refuses upgrades of `/refused` with 401. `/received` returns the number of bytes of binary
 * messages so far.
 */
const WS_SERVER = `
const { createServer } = require("node:http");
const { WebSocketServer } = require("/tmp/ws/index.js");
let resume = () => {};
let received = 0;
const server = createServer((request, response) => {
  if (request.url === "/resume") resume();
  response.end(request.url === "/received" ? String(received) : "page");
});
const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 64 * 1024 * 1024,
  handleProtocols: (offered) => [...offered].at(-1),
});
server.on("upgrade", (request, socket, head) => {
  if (request.url === "/refused") return socket.end("HTTP/1.1 401 Unauthorized\\r\\ncontent-length: 2\\r\\n\\r\\nno");
  sockets.handleUpgrade(request, socket, head, (peer) => {
    peer.on("error", () => {});
    peer.on("pong", (data) => peer.send("pong " + data));
    peer.on("message", (data, isBinary) => {
      const [word, code, reason] = isBinary ? [] : String(data).split(" ");
      if (word === "close") return peer.close(Number(code), reason);
      if (word === "ping") return peer.ping("x");
      if (word === "pause") { resume = () => peer.resume(); return peer.pause(); }
      if (isBinary) received += data.length;
      if (word === "protocol") return peer.send(peer.protocol + " " + request.url);
      peer.send(data, { binary: isBinary });
    });
  });
});
server.listen(Number(process.argv[2]));
`;

/** The part of a VM that starts a program. A `Vm` and a client's handle have it. */
type ServerHost = Pick<Vm, "writeFiles" | "spawn"> & { waitForPort(port: number): Promise<void> };

export async function startWebSocketServer(vm: ServerHost, port: number): Promise<void> {
  const folder = dirname(createRequire(import.meta.url).resolve("ws/package.json"));
  const names = ["index.js", ...readdirSync(join(folder, "lib")).map((name) => `lib/${name}`)];
  const entries = names.map((name) => ({
    path: `/tmp/ws/${name}`,
    content: readFileSync(join(folder, name)),
  }));
  await vm.writeFiles([...entries, { path: "/tmp/ws-server.cjs", content: WS_SERVER }]);
  await vm.spawn("node", ["/tmp/ws-server.cjs", String(port)]);
  await vm.waitForPort(port);
}
