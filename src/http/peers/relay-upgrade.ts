import type { ClientRequest, IncomingMessage } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { endToEnd } from "../../runtime/network/requests/end-to-end.ts";
import { boundInterim } from "../../runtime/network/requests/framing.ts";
import { relaySockets } from "../../runtime/network/requests/relay-sockets.ts";

/**
 * Sends an upgrade on, and the bytes of both sides after it.
 *
 * @param upgraded called when the other side takes the upgrade
 * @param fail answers in the other server's place
 */
export function relayUpgrade(
  socket: Duplex,
  head: Buffer,
  outgoing: ClientRequest,
  { upgraded, fail }: { upgraded(): void; fail(error: Error): void },
): void {
  boundInterim(outgoing);
  socket.once("close", () => outgoing.destroy());
  let isAnswered = false;
  outgoing.on("error", (error) => {
    if (isAnswered) socket.destroy();
    else fail(error);
  });
  outgoing.once("response", (answer) => {
    if (socket.destroyed) return void outgoing.destroy();
    isAnswered = true;
    socket.write(headOf(answer, ["Connection: close"]));
    pipeline(answer, socket, () => socket.destroy());
  });
  outgoing.once("upgrade", (answer, inside, first) => {
    isAnswered = true;
    upgraded();
    if (socket.destroyed) return void inside.destroy();
    socket.write(headOf(answer, ["Connection: Upgrade", "Upgrade: websocket"]));
    socket.write(first);
    inside.write(head);
    relaySockets(socket, inside);
  });
  outgoing.end();
}

function headOf(answer: IncomingMessage, more: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`, ...more];
  for (const [name, value] of endToEnd(answer.rawHeaders)) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
