import type { ClientRequest, RequestOptions } from "node:http";
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { MAX_PEER_HEADER_BYTES, PEER_ANSWER_MS } from "./limits.ts";
import { type Forwarded, proofSchema } from "./messages.ts";
import type { Peer } from "./places.ts";
import { freshly, PEER_HEADER, type PeerSeal, PROOF_HEADER } from "./seal.ts";

/** The head of a request for another server. */
export interface ForwardedHead extends Omit<Forwarded, "at" | "nonce" | "to"> {
  headers: http.OutgoingHttpHeaders;
}

/** Outcomes of the attempt to hand a request to another server. Exactly one of `taken`, `moved` and `failed` is called. */
interface Attempt {
  /** The other server takes the request, and waits for its body. Called before anything of its answer arrives. */
  taken(outgoing: ClientRequest): void;
  /** The VM has taken the request's own token, after `taken`. */
  admitted?(): void;
  /** The other server does not have the VM. */
  moved(): void;
  /** The request has not begun. */
  failed(error: Error): void;
}

/** Hands requests to other servers. Each has a connection of its own, so that a request that has not begun is known for sure. */
export class Forwarder {
  readonly #seal: PeerSeal;
  readonly #ca: string | undefined;

  /** @param ca authorities that sign the certificates of other servers, in PEM */
  constructor(seal: PeerSeal, ca: string | undefined) {
    this.#seal = seal;
    this.#ca = ca;
  }

  /**
   * Begins a request. Its body may follow when the other server has shown that it has the secret.
   *
   * @param signal aborts the attempt
   */
  begin(peer: Peer, head: ForwardedHead, signal: AbortSignal, attempt: Attempt): void {
    const { headers, method, url, actorId, grant } = head;
    const message: Forwarded = {
      ...freshly(),
      to: peer.server,
      method,
      url,
      actorId,
      ...(grant && { grant }),
    };
    const signed = this.#seal.seal("request", message);
    if (signed.length > MAX_PEER_HEADER_BYTES)
      return void attempt.failed(new Error("the rights of the sender are too long for another server"));
    let outgoing: ClientRequest;
    try {
      outgoing = this.#start(peer.url, {
        method,
        path: url,
        headers: { ...headers, [PEER_HEADER]: signed },
      });
    } catch (error) {
      // Node's parser accepts headers that a request refuses.
      return void attempt.failed(error as Error);
    }
    const late = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${PEER_ANSWER_MS} ms`)),
      PEER_ANSWER_MS,
    );
    const abort = () => void outgoing.destroy(new Error("the client has left"));
    const settle = () => {
      clearTimeout(late);
      signal.removeEventListener("abort", abort);
      outgoing.off("information", proved).off("response", unproved).off("upgrade", unproved);
      outgoing.off("error", failed);
    };
    const failed = (error: Error) => {
      settle();
      outgoing.on("error", () => undefined).destroy();
      attempt.failed(error);
    };
    const unproved = () => failed(new Error("the answer is not from a server with the same secret"));
    const proofOf = ({ headers: given }: http.InformationEvent) => {
      const proof = this.#seal.open("answer", given[PROOF_HEADER], proofSchema);
      return proof?.nonce === message.nonce ? proof : undefined;
    };
    const proved = (event: http.InformationEvent) => {
      const proof = proofOf(event);
      if (proof === undefined) return void unproved();
      settle();
      if (proof.isHere) {
        outgoing.on("information", (later) => {
          if (proofOf(later)?.hasAccess) attempt.admitted?.();
        });
        return void attempt.taken(outgoing);
      }
      outgoing.on("error", () => undefined).destroy();
      attempt.moved();
    };
    outgoing.on("information", proved).once("response", unproved).once("upgrade", unproved);
    outgoing.once("error", failed);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    outgoing.flushHeaders();
  }

  #start(url: string, request: RequestOptions): ClientRequest {
    const { protocol, hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, "");
    const options = { ...request, host, port, setHost: false, agent: false } as const;
    if (protocol === "http:") return http.request(options);
    // Node would take the client's Host for the name in the certificate. An address has no name.
    const servername = isIP(host) === 0 ? host : "";
    return https.request({ ...options, servername, ...(this.#ca !== undefined && { ca: this.#ca }) });
  }
}
