import type { IncomingMessage } from "node:http";

/**
 * Keeps the body of a request from its readers, while the server decides about the request. Node pauses the connection
 * after the first piece. Call it in the turn in which the request arrives.
 *
 * @returns a function that attaches readers and lets the body go on
 */
export function holdBody(request: IncomingMessage): (attach: () => void) => void {
  const held: (Buffer | null)[] = [];
  const { push } = request;
  // Node hands over the body with `push`, whether or not anybody reads.
  request.push = (piece: Buffer | null) => {
    held.push(piece);
    return false;
  };
  return (attach) => {
    request.push = push;
    // A reader may replace `push` too.
    attach();
    for (const piece of held) request.push(piece);
    request.socket.resume();
  };
}
