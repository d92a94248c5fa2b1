import { type IncomingMessage, type ServerResponse, request as startRequest } from "node:http";
import type { Duplex } from "node:stream";
import { endToEnd } from "../../requests/end-to-end.ts";
import { type Framing, hasBody } from "../../requests/framing.ts";
import { relay } from "../../requests/relay.ts";
import { type TakenBody, takeBody } from "../credentials/body.ts";
import { Mask } from "../credentials/mask.ts";
import { outgoingHeaders, outgoingTarget } from "../credentials/outgoing.ts";
import { Placeholders } from "../credentials/placeholders.ts";
import type { Credential } from "../credentials/rules.ts";
import { KeptConnection } from "./kept-connection.ts";

/** A request on its way out, before it has a connection. */
export interface Outgoing {
  /** Path and query as the program sent them. */
  target: string;
  /** Host and port for the `Host` header. */
  authority: string;
  framing: Framing;
  /** Credentials that the request carries. */
  credentials: readonly Credential[];
  /** Every credential of the destination. It may repeat the secret of an earlier request. */
  known: readonly Credential[];
}

/** The parts of a request that credentials change. */
export class PreparedRequest {
  readonly path: string;
  readonly headers: Record<string, string[]>;
  readonly mask: Mask;
  readonly #request: IncomingMessage;
  readonly #placeholders: Placeholders;
  readonly #given: Framing;
  #body: TakenBody | undefined;

  constructor(request: IncomingMessage, { target, authority, framing, credentials, known }: Outgoing) {
    const placeholders = new Placeholders(credentials);
    this.#request = request;
    this.#placeholders = placeholders;
    this.#given = framing;
    this.path = outgoingTarget(target, credentials, placeholders);
    const isMasked = known.some(({ mask }) => mask);
    this.headers = outgoingHeaders(request, { authority, credentials, placeholders, isMasked });
    this.mask = new Mask(known, placeholders.encoded);
  }

  /** Whether placeholders in the body can be replaced. A coded body cannot be read. */
  get needsBody(): boolean {
    const { "content-encoding": coding = "identity" } = this.#request.headers;
    return this.#placeholders.looksInto("body") && hasBody(this.#given) && coding === "identity";
  }

  /** Reads the body and replaces the placeholders in it. A body that is too large stays as it is. */
  async replaceBody(): Promise<void> {
    const taken = await takeBody(this.#request);
    const type = this.#request.headers["content-type"] ?? "";
    this.#body = taken.isWhole ? { ...taken, bytes: this.#placeholders.inBody(taken.bytes, type) } : taken;
  }

  get framing(): Framing {
    return this.#body?.isWhole ? { "content-length": [String(this.#body.bytes.byteLength)] } : this.#given;
  }

  /** Beginning of the body; `undefined` if nothing was read from the request. */
  get body(): TakenBody | undefined {
    return this.#body;
  }
}

/**
 * Sends a program's request to its destination, and the response back.
 *
 * @param way a connection of this request's own, or a kept connection
 * @param fail answers in the destination's place
 */
export function forwardRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { path, headers, framing, body, mask }: PreparedRequest,
  way: Duplex | KeptConnection,
  fail: (error: Error) => void,
): void {
  const outgoing = startRequest({
    ...(way instanceof KeptConnection ? { agent: way } : { createConnection: () => way }),
    path,
    method: request.method,
    // An agent of Node wants a single Host.
    headers: { ...headers, ...framing, host: String(headers.host) },
    setHost: false,
  });
  response.once("close", () => outgoing.destroy());
  relay(request, response, outgoing, {
    framing,
    body,
    headersOf(raw) {
      const pairs = endToEnd(raw);
      if (mask.isEmpty) return pairs.flat();
      assertReadable(pairs);
      return pairs.flatMap(([name, value]) => [name, mask.text(value)]);
    },
    phraseOf: (phrase) => mask.text(phrase),
    through: mask.isEmpty ? undefined : mask.stream(),
    fail(error) {
      // The host has closed the connection just as the request began: the program knows whether it may repeat it.
      const isStale = outgoing.reusedSocket && (error as NodeJS.ErrnoException).code === "ECONNRESET";
      if (isStale && !response.headersSent) request.socket.destroy();
      else fail(error);
    },
  });
}

/** @throws Error for a response in a coding that hides a secret from its mask */
function assertReadable(headers: readonly [string, string][]): void {
  const coded = headers.find(([name, value]) => name === "content-encoding" && !/^identity$/i.test(value));
  if (coded !== undefined)
    throw new Error(`the response is coded (${coded[1]}), so that its secrets cannot be masked`);
}
