import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { onTestFinished } from "vitest";

/** Connects to a place. The end of the test cuts the connection. */
export async function connectTo(place: { host: string; port: number }): Promise<net.Socket> {
  const socket = net.connect({ host: place.host, port: place.port, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Reads until the other side has ended. Rejects if it resets the connection. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Reads the next piece as text. */
export async function readSome(socket: net.Socket): Promise<string> {
  return String((await once(socket, "data"))[0]);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Resolves when a connection has closed. @returns whether it was reset */
export async function closed(socket: net.Socket): Promise<boolean> {
  let wasReset = false;
  socket.on("error", ({ code }: NodeJS.ErrnoException) => {
    wasReset ||= code === "ECONNRESET";
  });
  socket.resume();
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
  return wasReset;
}

/**
 * A TCP server for a VM: `node tcp-server.cjs PORT_OR_PATH`. The first line of a connection says what it does:
 *
 * - `echo` sends back what comes, and ends when the client ends.
 * - `sum` sends the number of bytes that came, when the client has ended.
 * - `send N` sends N bytes and ends.
 * - `stall` reads nothing more. `end` ends at once. `reset` resets. `open` answers how many connections are open.
 */
export const TCP_SERVER = `
const net = require("node:net");
const [place] = process.argv.slice(2);
let open = 0;
net.createServer({ allowHalfOpen: true }, (socket) => {
  open += 1;
  socket.on("error", () => undefined);
  socket.once("close", () => { open -= 1; });
  socket.once("data", (first) => {
    const at = first.indexOf(10);
    const [what, value] = first.subarray(0, at).toString().split(" ");
    const rest = first.subarray(at + 1);
    if (what === "echo") { socket.write(rest); socket.pipe(socket); }
    else if (what === "sum") {
      let sum = rest.length;
      socket.on("data", (data) => { sum += data.length; });
      socket.on("end", () => socket.end(String(sum)));
    } else if (what === "send") { socket.end(Buffer.alloc(Number(value), "x")); socket.resume(); }
    else if (what === "stall") socket.pause();
    else if (what === "end") { socket.end("bye"); socket.resume(); }
    else if (what === "reset") socket.resetAndDestroy();
    else if (what === "open") { socket.end(String(open)); socket.resume(); }
  });
}).listen(Number(place) || place, () => console.log("listening"));
`;
