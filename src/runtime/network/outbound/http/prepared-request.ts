import type { Readable } from "node:stream";
import { type Framing, hasBody } from "../../requests/framing.ts";
import { type TakenBody, takeBody } from "../credentials/body.ts";
import { Mask } from "../credentials/mask.ts";
import { outgoingHeaders, outgoingTarget } from "../credentials/outgoing.ts";
import { Placeholders, RequestRefused } from "../credentials/placeholders.ts";
import type { Credential } from "../credentials/rules.ts";
import { isGrpc } from "../grpc.ts";

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

/** A request as a program sent it. */
export interface GivenRequest {
  rawHeaders: string[];
  headers: { "content-encoding"?: string | undefined; "content-type"?: string | undefined };
  body: Readable;
}

/** The parts of a request that credentials change. */
export class PreparedRequest {
  readonly path: string;
  readonly headers: Record<string, string[]>;
  readonly mask: Mask;
  readonly #request: GivenRequest;
  readonly #placeholders: Placeholders;
  readonly #given: Framing;
  #body: TakenBody | undefined;

  constructor(request: GivenRequest, { target, authority, framing, credentials, known }: Outgoing) {
    const placeholders = new Placeholders(credentials);
    this.#request = request;
    this.#placeholders = placeholders;
    this.#given = framing;
    this.path = outgoingTarget(target, credentials, placeholders);
    const isMasked = known.some(({ mask }) => mask);
    this.headers = outgoingHeaders(request.rawHeaders, { authority, credentials, placeholders, isMasked });
    this.mask = new Mask(known, placeholders.encoded);
  }

  /** Whether placeholders in the body can be replaced. A coded body cannot be read, and messages of gRPC have lengths. */
  get needsBody(): boolean {
    const { "content-encoding": coding = "identity", "content-type": type = "" } = this.#request.headers;
    const isText = coding === "identity" && !isGrpc(type);
    return isText && this.#placeholders.looksInto("body") && hasBody(this.#given);
  }

  /** Looks for placeholders in a body of gRPC while it passes. @param refuse called with the first one */
  onUnreplaced(refuse: (error: RequestRefused) => void): void {
    const { "content-type": type = "" } = this.#request.headers;
    if (!isGrpc(type) || !this.#placeholders.looksInto("body")) return;
    const { body } = this.#request;
    const find = this.#placeholders.finder("body");
    const look = (data: Buffer) => {
      const found = find(data);
      if (found === undefined) return;
      body.off("data", look);
      refuse(
        new RequestRefused(
          `${found} is in a message of gRPC, which has a length and cannot be replaced: send it as metadata`,
        ),
      );
    };
    body.on("data", look);
  }

  /** Reads the body and replaces the placeholders in it. A body that is too large stays as it is. */
  async replaceBody(): Promise<void> {
    const taken = await takeBody(this.#request.body);
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
