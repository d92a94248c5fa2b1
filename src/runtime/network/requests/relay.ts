import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { boundInterim, type Framing, hasBody } from "./framing.ts";

interface RelayOptions {
  /** Framing of the request. */
  framing: Framing;
  /** Beginning of the body that was read from the request already. `isWhole`: nothing follows. */
  body?: { bytes: Buffer; isWhole: boolean } | undefined;
  /** Changes the response's body. */
  through?: Duplex | undefined;
  /** Makes the response's headers from the headers that the server sent. */
  headersOf(rawHeaders: readonly string[]): string[];
  /** Changes the text of the response's status. */
  phraseOf?(phrase: string): string;
  /** Answers in the server's place. If the response has begun, cuts it. */
  fail(error: Error): unknown;
}

/** Sends a request's body on with an outgoing request, and the server's response back. */
export function relay(
  request: IncomingMessage,
  response: ServerResponse,
  outgoing: ClientRequest,
  { framing, body, through, headersOf, phraseOf = (phrase) => phrase, fail }: RelayOptions,
): void {
  boundInterim(outgoing);
  outgoing.once("error", (error) => {
    // The head may wait for its body: a server that sends more than its head allows has sent a head all the same.
    if (response.headersSent && !response.writableEnded && !response.destroyed) response.flushHeaders();
    return fail(error);
  });
  outgoing.once("response", (answer) => {
    const { statusCode = 502, statusMessage = "", rawHeaders } = answer;
    // `pipeline` throws for a response whose receiver has just left.
    if (response.destroyed) return void outgoing.destroy();
    try {
      response.writeHead(statusCode, phraseOf(statusMessage), headersOf(rawHeaders));
    } catch (error) {
      // Node's parser accepts headers that writeHead refuses.
      outgoing.destroy();
      void fail(error as Error);
      return;
    }
    // On failure the response is cut. Its status is already sent, so there is no other way to report it.
    if (through === undefined) sendOn(answer, response);
    else {
      response.flushHeaders();
      pipeline(answer, through, response, () => undefined);
    }
  });
  outgoing.once("upgrade", (_answer, socket) => {
    socket.destroy();
    fail(new Error("the server switched to another protocol"));
  });
  request.once("error", () => outgoing.destroy());
  // Without a frame, bytes of a body would be read as another request.
  if (body !== undefined) outgoing.write(body.bytes);
  if (hasBody(framing) && body?.isWhole !== true) request.pipe(outgoing);
  else outgoing.end();
}

/**
 * Sends a server's response on. Its head waits for the body that has arrived with it, so that both leave in one packet. `pipeline` makes
 * an error with a stack for each response, even after a good end.
 */
function sendOn(answer: IncomingMessage, response: ServerResponse): void {
  let hasBegun = false;
  answer.once("data", () => {
    hasBegun = true;
  });
  answer.once("error", () => response.destroy());
  // The receiver may leave between two pieces.
  response.on("error", () => undefined);
  response.once("close", () => answer.destroy());
  answer.pipe(response);
  setImmediate(() => {
    if (!hasBegun && !response.writableEnded && !response.destroyed) response.flushHeaders();
  });
}
