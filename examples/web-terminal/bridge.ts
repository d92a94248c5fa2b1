// A terminal for visitors of a web page: each visitor has a VM, and a WebSocket carries its terminal.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { VmAccessor } from "agent-vm/client";
import { type WebSocket, WebSocketServer } from "ws";

/** Terminals at a time. */
const MAX_VISITORS = 50;
/** Milliseconds without a keystroke after which a terminal closes. */
const IDLE_MS = 10 * 60_000;
/** Output that a slow visitor may have waiting. */
const MAX_BACKLOG_BYTES = 4 * 1024 ** 2;

const PAGE = `<!doctype html><title>Terminal</title><pre id="screen"></pre><script type="module">
// A real page would use xterm.js here
const socket = new WebSocket("/terminal?visitor=" + crypto.randomUUID());
socket.binaryType = "arraybuffer";
const decoder = new TextDecoder();
socket.onmessage = ({ data }) => { screen.textContent += decoder.decode(data, { stream: true }); };
const screen = document.getElementById("screen");
addEventListener("keypress", ({ key }) => socket.send(JSON.stringify({ input: key === "Enter" ? "\\r" : key })));
</script>`;

/** Starts the page on loopback. */
export async function startBridge(vms: VmAccessor) {
  const page = createServer((_request, response) => {
    response.writeHead(200, {
      "content-type": "text/html",
      "content-security-policy": "frame-ancestors 'none'",
    });
    response.end(PAGE);
  });
  const sockets = new WebSocketServer({ server: page, path: "/terminal", maxPayload: 64 * 1024 });
  sockets.on("connection", (socket, request) => {
    // A page of another site may not use a visitor's terminal
    const { origin, host } = request.headers;
    const visitor = new URL(request.url ?? "", "http://bridge").searchParams.get("visitor") ?? "";
    if (origin !== undefined && new URL(origin).host !== host) return socket.close(1008, "another origin");
    if (!/^[\w-]{36}$/.test(visitor)) return socket.close(1008, "no visitor");
    if (sockets.clients.size > MAX_VISITORS) return socket.close(1013, "too many visitors");
    carry(socket, vms, visitor).catch((error: Error) => socket.close(1011, error.message.slice(0, 100)));
  });
  await once(page.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(page.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets.clients) socket.terminate();
      page.close();
    },
  };
}

async function carry(socket: WebSocket, vms: VmAccessor, visitor: string): Promise<void> {
  const waiting: string[] = [];
  let receive = (text: string) => void waiting.push(text);
  socket.on("message", (data) => receive(String(data)));
  socket.on("error", () => socket.terminate());

  const conn = vms.getOrCreate(["terminal", visitor]).connect();
  const idle = setTimeout(() => socket.close(1000, "idle"), IDLE_MS);
  socket.once("close", () => {
    clearTimeout(idle);
    void conn.dispose();
  });
  // A visitor who comes back finds the terminal as it was
  const open = (await conn.listShells()).find(({ running }) => running);
  const { shellId } = open ?? (await conn.openShell());
  conn.on("shellData", ({ shellId: of, data }) => {
    if (of !== shellId) return;
    if (socket.bufferedAmount > MAX_BACKLOG_BYTES) socket.close(1013, "too slow");
    else socket.send(data);
  });
  conn.on("shellExit", ({ shellId: of }) => {
    if (of === shellId) socket.close(1000, "the shell ended");
  });
  receive = (text) => {
    idle.refresh();
    const { input, cols, rows } = JSON.parse(text) as { input?: string; cols?: number; rows?: number };
    const done =
      input === undefined
        ? conn.resizeShell(shellId, cols ?? 80, rows ?? 24)
        : conn.writeShell(shellId, input);
    done.catch(() => socket.close(1011, "the terminal is gone"));
  };
  for (const text of waiting) receive(text);
}
