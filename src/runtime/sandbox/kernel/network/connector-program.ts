import { createServer, connect as open, type Socket } from "node:net";
import { constants } from "node:os";

/** The connector in Node, for hosts without perl: slower to start and larger, but to the same protocol. */
const connecting = new Map<string, Socket>();

process.on("disconnect", () => process.exit(0));
process.on("message", (request: string) => {
  const [what, id = "", family, port] = request.split(" ");
  if (what === "connect") connect(id, family === "6" ? "::1" : "127.0.0.1", Number(port));
  if (what === "cancel") connecting.get(id)?.destroy();
  if (what === "listen") listen(id);
});

function connect(id: string, host: string, port: number): void {
  const socket = open({ host, port });
  connecting.set(id, socket);
  // What the other side says first is not for this process to read.
  socket.pause();
  socket.once("close", () => connecting.delete(id));
  socket.once("error", (error) => refuse(id, error));
  socket.once("connect", () => process.send?.({ id: Number(id) }, socket));
}

function listen(id: string): void {
  const server = createServer();
  server.once("error", (error) => refuse(id, error));
  server.listen({ host: "127.0.0.1", port: 0, backlog: 128 }, () => {
    process.send?.({ id: Number(id) }, server, {}, () => server.close());
  });
}

function refuse(id: string, error: NodeJS.ErrnoException): void {
  const errno = constants.errno[error.code as keyof typeof constants.errno] ?? constants.errno.EIO;
  process.send?.({ id: Number(id), errno });
}
