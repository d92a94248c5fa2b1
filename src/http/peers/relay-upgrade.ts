import type { ClientRequest, IncomingMessage } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { endToEnd } from "../../runtime/network/requests/end-to-end.ts";
import { boundInterim } from "../../runtime/network/requests/framing.ts";

/** Time for one side of a WebSocket to close after the other side. @unit ms @past The server cuts it. */
const CLOSE_GRACE_MS = 2_000;

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
    inside.on("error", () => socket.destroy());
    // The last frames of the other side may still be on their way.
    inside.once("close", () => socket.end(() => setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref()));
    socket.once("close", () => inside.destroy());
    if (socket.destroyed) return void inside.destroy();
    socket.write(headOf(answer, ["Connection: Upgrade", "Upgrade: websocket"]));
    socket.write(first);
    inside.write(head);
    inside.pipe(socket).pipe(inside);
  });
  outgoing.end();
}

function headOf(answer: IncomingMessage, more: readonly string[]): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`, ...more];
  for (const [name, value] of endToEnd(answer.rawHeaders)) lines.push(`${name}: ${value}`);
  return `${lines.join("\r\n")}\r\n\r\n`;
}
