import { once } from "node:events";
import type { ClientRequest, RequestOptions } from "node:http";
import * as http from "node:http";
import * as https from "node:https";
import { isIP } from "node:net";
import { readAtMost } from "../../base/read-at-most.ts";
import { MAX_PEER_HEADER_BYTES, PEER_ANSWER_MS } from "./limits.ts";
import { type Forwarded, type Proof, proofSchema } from "./messages.ts";
import type { Peer } from "./places.ts";
import { freshly, PEER_HEADER, type PeerSeal, PROOF_HEADER } from "./seal.ts";

/** The head of a request for another server. */
export interface ForwardedHead extends Omit<Forwarded, "at" | "nonce" | "to"> {
  headers: http.OutgoingHttpHeaders;
}

/** Outcomes of the attempt to hand a request to another server. */
interface Attempt {
  /** The request is on its way. From now on it may have begun, unless `moved` is called. */
  sent(outgoing: ClientRequest): void;
  /** The other server takes the request, and waits for its body. Called before anything of its answer arrives. */
  taken(outgoing: ClientRequest): void;
  /** The VM has taken the request's own token, after `taken`. */
  admitted?(): void;
  /** The other server does not have the VM. The request has not begun. */
  moved(): void;
  /** The request has not begun. */
  failed(error: Error): void;
  /** The request was on its way, and may have begun. */
  lost(error: Error): void;
}

/** Path of the question whether a server has a VM. */
export const QUESTION_PATH = "/agent-vm/has";

const UNPROVED = "the answer is not from a server with the same secret";

/**
 * Hands requests to other servers. Each has a connection of its own, on which a question goes first. A server that stands still does not
 * answer it, so that no request waits there and begins when nobody expects it any more.
 */
export class Forwarder {
  readonly #seal: PeerSeal;
  readonly #ca: string | undefined;

  /** @param ca authorities that sign the certificates of other servers, in PEM */
  constructor(seal: PeerSeal, ca: string | undefined) {
    this.#seal = seal;
    this.#ca = ca;
  }

  /**
   * Waits for a sign of life of a server.
   *
   * @param path path of its listener that answers nothing but a proof
   * @throws Error if there is none
   */
  async sign(peer: Peer, path: string): Promise<void> {
    const agent = agentOf(peer);
    try {
      await this.#ask(agent, peer, { url: path, actorId: "" });
    } finally {
      agent.destroy();
    }
  }

  /**
   * Reads what a server answers to a request without a body, which begins nothing.
   *
   * @throws Error if there is no such answer, or one above `maxBytes`
   */
  async read(
    peer: Peer,
    request: { path: string; headers: http.OutgoingHttpHeaders },
    { signal, maxBytes }: { signal: AbortSignal; maxBytes: number },
  ): Promise<string> {
    const agent = agentOf(peer);
    try {
      const outgoing = this.#start(agent, peer.url, { ...request, method: "GET", signal });
      outgoing.end();
      const [answer] = (await once(outgoing, "response")) as [http.IncomingMessage];
      const body = await readAtMost(answer, maxBytes);
      if (body === undefined) throw new Error("the answer of another server is too long");
      return body.toString();
    } finally {
      agent.destroy();
    }
  }

  /**
   * Begins a request. Its body may follow when the other server has shown that it has the secret.
   *
   * @param signal aborts the attempt, until the request is on its way
   */
  begin(peer: Peer, head: ForwardedHead, signal: AbortSignal, attempt: Attempt): void {
    const agent = agentOf(peer);
    const question = { url: QUESTION_PATH, actorId: head.actorId };
    this.#ask(agent, peer, question, signal).then(
      (isHere) => {
        if (isHere) return this.#send(agent, peer, head, attempt);
        agent.destroy();
        attempt.moved();
      },
      (error: Error) => {
        agent.destroy();
        attempt.failed(error);
      },
    );
  }

  /** Sends a request to a server that is alive and has the VM. */
  #send(agent: http.Agent, peer: Peer, head: ForwardedHead, attempt: Attempt): void {
    let opened: Opened;
    try {
      opened = this.#open(agent, peer, head);
    } catch (error) {
      agent.destroy();
      // Node's parser accepts headers that a request refuses.
      return void attempt.failed(error as Error);
    }
    const { outgoing, proofOf } = opened;
    const settle = () => {
      outgoing.off("information", proved).off("response", unproved).off("upgrade", unproved);
      outgoing.off("error", failed);
    };
    const failed = (error: Error) => {
      settle();
      outgoing.on("error", () => undefined).destroy();
      attempt.lost(error);
    };
    const unproved = () => failed(new Error(UNPROVED));
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
    outgoing.once("error", failed).once("close", () => agent.destroy());
    attempt.sent(outgoing);
    outgoing.flushHeaders();
  }

  /** Asks a server something that begins nothing. @returns whether it has the VM @throws Error if it does not answer */
  async #ask(
    agent: http.Agent,
    peer: Peer,
    question: { url: string; actorId: string },
    signal?: AbortSignal,
  ): Promise<boolean> {
    const { outgoing, proofOf } = this.#open(agent, peer, {
      ...question,
      method: "GET",
      headers: { host: "peer" },
    });
    const { promise, resolve, reject } = Promise.withResolvers<boolean>();
    const late = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${PEER_ANSWER_MS} ms`)),
      PEER_ANSWER_MS,
    );
    const abort = () => void outgoing.destroy(new Error("the client has left"));
    let proof: Proof | undefined;
    outgoing.on("information", (event) => {
      proof ??= proofOf(event);
    });
    outgoing.once("response", (answer) => {
      if (proof === undefined) return void outgoing.destroy(new Error(UNPROVED));
      const { isHere } = proof;
      answer.once("error", reject).once("end", () => resolve(isHere));
      answer.resume();
    });
    outgoing.on("error", reject).once("close", () => reject(new Error("the connection was closed")));
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    outgoing.end();
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Makes a signed request, which is not sent yet. @throws Error if its headers are not valid, or too long */
  #open(agent: http.Agent, peer: Peer, head: ForwardedHead): Opened {
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
      throw new Error("the rights of the sender are too long for another server");
    const outgoing = this.#start(agent, peer.url, {
      method,
      path: url,
      headers: { ...headers, [PEER_HEADER]: signed },
    });
    const proofOf = ({ headers: given }: http.InformationEvent) => {
      const proof = this.#seal.open("answer", given[PROOF_HEADER], proofSchema);
      return proof?.nonce === message.nonce ? proof : undefined;
    };
    return { outgoing, proofOf };
  }

  #start(agent: http.Agent, url: string, request: RequestOptions): ClientRequest {
    const { protocol, hostname, port } = new URL(url);
    const host = hostname.replace(/^\[|\]$/g, "");
    const options = { ...request, host, port, setHost: false, agent } as const;
    if (protocol === "http:") return http.request(options);
    // Node would take the client's Host for the name in the certificate. An address has no name.
    const servername = isIP(host) === 0 ? host : "";
    return https.request({ ...options, servername, ...(this.#ca !== undefined && { ca: this.#ca }) });
  }
}

/** A request that is not sent yet. */
interface Opened {
  outgoing: ClientRequest;
  /** Finds the proof of an interim answer. */
  proofOf(event: http.InformationEvent): Proof | undefined;
}

/** Makes the agent of one connection, which a request takes over from the question before it. */
function agentOf({ url }: Peer): http.Agent {
  const options = { keepAlive: true, maxSockets: 1 };
  return url.startsWith("https:") ? new https.Agent(options) : new http.Agent(options);
}
