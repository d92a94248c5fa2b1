import type { ClientRequest, IncomingMessage } from "node:http";
import { type Duplex, pipeline } from "node:stream";
import { boundInterim } from "./framing.ts";
import { relaySockets } from "./relay-sockets.ts";

interface RelayOptions {
  /** Makes the answer's headers from the headers that the server sent: names and values in turn. May refuse the answer by an error. */
  headersOf(rawHeaders: readonly string[]): readonly string[];
  /** Changes the text of the answer's status. */
  phraseOf?(phrase: string): string;
  /** Changes the body of an answer that is not an upgrade. */
  through?: Duplex | undefined;
  /** Called with the status of the answer: 101 when the server takes the upgrade. */
  answered?(status: number): void;
  /** Answers in the server's place. The client has got nothing yet. */
  fail(error: Error): unknown;
}

/**
 * Sends an upgrade on, and the bytes of both sides after it. Ends the request when the client leaves.
 *
 * @param client the side that asks. Its owner handles its errors.
 * @param head bytes that arrived after the head of the client's request
 */
export function relayUpgrade(
  client: Duplex,
  head: Buffer,
  outgoing: ClientRequest,
  { headersOf, phraseOf = (phrase) => phrase, through, answered = () => undefined, fail }: RelayOptions,
): void {
  let isAnswered = false;
  /** @returns whether the client gets the answer */
  const sendHead = (answer: IncomingMessage, more: readonly string[]): boolean => {
    const { statusCode = 502, statusMessage = "", rawHeaders } = answer;
    // `pipeline` throws for a connection whose other end has just left.
    if (client.destroyed) return false;
    const lines = [`HTTP/1.1 ${statusCode} ${phraseOf(statusMessage)}`, ...more];
    try {
      const headers = headersOf(rawHeaders);
      for (let at = 0; at < headers.length; at += 2) lines.push(`${headers[at]}: ${headers[at + 1]}`);
    } catch (error) {
      void fail(error as Error);
      return false;
    }
    isAnswered = true;
    answered(statusCode);
    // Node reads each byte of a head as one character.
    client.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    return true;
  };
  boundInterim(outgoing);
  client.once("close", () => outgoing.destroy());
  outgoing.on("error", (error) => {
    if (isAnswered) client.destroy();
    else fail(error);
  });
  outgoing.once("response", (answer) => {
    if (!sendHead(answer, ["Connection: close"])) return void outgoing.destroy();
    const cut = () => void client.destroy();
    const body =
      through === undefined
        ? answer.once("error", cut)
        : pipeline(answer, through, (error) => error && cut());
    client.once("finish", cut);
    // `pipeline` adds more listeners than Node allows a client's connection without a warning.
    body.pipe(client);
  });
  outgoing.once("upgrade", (answer, server, first) => {
    if (!sendHead(answer, ["Connection: Upgrade", "Upgrade: websocket"])) return void server.destroy();
    client.write(first);
    server.write(head);
    relaySockets(client, server);
  });
  outgoing.end();
}
