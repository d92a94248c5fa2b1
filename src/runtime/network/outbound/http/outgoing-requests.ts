import type { Duplex } from "node:stream";
import type { SecureContext, TLSSocket } from "node:tls";
import { Semaphore } from "../../../../base/semaphore.ts";
import { MAX_SECRET_BODIES } from "../../limits.ts";
import type { Framing } from "../../requests/framing.ts";
import { type CredentialPlace, type CredentialRules, credentialsFor } from "../credentials/rules.ts";
import type { Destination, Permit } from "../destination.ts";
import type { OutboundGate } from "../gate.ts";
import { openTls } from "../sockets.ts";
import { Ahead, HTTP1_ONLY, HTTP2_FIRST } from "./ahead.ts";
import { type GivenRequest, PreparedRequest } from "./prepared-request.ts";

export interface OutgoingDeps {
  gate: OutboundGate;
  credentials(): CredentialRules;
  /** Authorities that the server trusts. @default the system's */
  trust?(): SecureContext | undefined;
}

/** Where a request leads. */
export interface Target {
  destination: Destination;
  /** Host and port as in a `Host` header. */
  authority: string;
  /** `true` for a connection whose TLS the server has ended. */
  isOpened: boolean;
  method: string;
  /** Path and query. */
  path: string;
}

/** Prepares the requests of a VM's programs for their way out, whatever the version of HTTP. */
export class OutgoingRequests {
  readonly #deps: OutgoingDeps;
  readonly #bodies = new Semaphore(MAX_SECRET_BODIES);

  constructor(deps: OutgoingDeps) {
    this.#deps = deps;
  }

  /**
   * Adds credentials to a request, waits for the answer to it if a rule of the policy asks, and replaces placeholders in its
   * body.
   *
   * @throws OutboundDenied, RequestRefused; Error if its body does not arrive
   */
  async prepare(
    given: GivenRequest,
    { destination, authority, method, path }: Target,
    framing: Framing,
    signal: AbortSignal,
  ): Promise<{ prepared: PreparedRequest; place: CredentialPlace | undefined; permit: Permit | undefined }> {
    const place = this.#deps.credentials().placeOf(destination);
    const credentials = place === undefined ? [] : credentialsFor(place, method, path);
    const known = place?.credentials ?? [];
    const prepared = new PreparedRequest(given, { target: path, authority, framing, credentials, known });
    const { port = destination.port } = place ?? {};
    const asked = { ...destination, port, method, path: path.replace(/[?#].*$/s, "") };
    const permit = await this.#deps.gate.permit(asked, signal);
    if (prepared.needsBody) await this.#bodies.run(() => prepared.replaceBody(), signal);
    signal.throwIfAborted();
    return { prepared, place, permit };
  }

  /** Opens a connection to the outside, with TLS for an opened one or a place of https. @param protocols of ALPN */
  async open(
    { destination, isOpened }: Pick<Target, "destination" | "isOpened">,
    place: CredentialPlace | undefined,
    permit: Permit | undefined,
    signal: AbortSignal,
    protocols = HTTP1_ONLY,
  ): Promise<Duplex> {
    const { gate, trust } = this.#deps;
    // A secret that has been removed meanwhile must not turn an encrypted connection into a plain one.
    const isTls = isOpened || place?.isTls === true;
    const raw = await gate.open({ ...destination, port: place?.port ?? destination.port, permit }, signal);
    if (!isTls) return raw;
    const leave = () => raw.destroy();
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await openTls(raw, destination.host, protocols, trust?.());
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Opens the connection to the outside of an opened connection, unless a rule asks about each of its requests. */
  async openAhead(origin: Pick<Target, "destination" | "isOpened">, signal: AbortSignal): Promise<Ahead> {
    if (this.#deps.gate.asks(origin.destination)) return new Ahead(undefined);
    try {
      const opened = await this.open(origin, undefined, undefined, signal, HTTP2_FIRST);
      return new Ahead(opened as TLSSocket);
    } catch (error) {
      return new Ahead(error as Error);
    }
  }
}
