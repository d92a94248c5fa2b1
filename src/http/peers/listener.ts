import * as http from "node:http";
import * as https from "node:https";
import { AgentVmError } from "../../api/errors.ts";
import { dropHeader } from "../drop-header.ts";
import type { Grant, VmName } from "../grant.ts";
import { holdBody } from "../held-body.ts";
import { putInFront } from "../server-front.ts";
import type { Strangers } from "../strangers.ts";
import { QUESTION_PATH } from "./forward.ts";
import { MAX_PEER_HEADER_BYTES } from "./limits.ts";
import { FACTS_PATH, openFactsQuestion } from "./live-facts.ts";
import { type Facts, type Forwarded, forwardedSchema, type Proof } from "./messages.ts";
import type { PeerAddress } from "./options.ts";
import { SIGN_PATH } from "./peer-watch.ts";
import { isLate, Nonces, PEER_HEADER, type PeerSeal, PROOF_HEADER } from "./seal.ts";

/** Bytes of the head of a forwarded request: its signature, and as much as Node takes of another request. */
const MAX_HEAD_BYTES = MAX_PEER_HEADER_BYTES + 16 * 1024;

interface ListenerDeps {
  seal: PeerSeal;
  /** Id of this server's process. */
  server: string;
  strangers: Strangers;
  /** Finds an actor that runs in this process. */
  here(actorId: string): Promise<VmName | undefined>;
  /** Says how VMs of this server are. Never rejects. */
  facts(actorIds: readonly string[], use: boolean): Promise<Facts>;
  /** Lets a request in with these rights. */
  admit(request: object, grant: Grant): void;
  /** Called with the reason for which a request is refused. */
  onRefused(reason: string): void;
}

/** Makes the server for requests that other servers forward. It listens when `listenForPeers` is called. */
export function makePeerServer({ tls }: PeerAddress): http.Server {
  return tls === undefined
    ? http.createServer({ maxHeaderSize: MAX_HEAD_BYTES })
    : https.createServer({ ...tls, maxHeaderSize: MAX_HEAD_BYTES });
}

/** @throws AgentVmError `listen_failed` */
export async function listenForPeers(server: http.Server, { host, port }: PeerAddress): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", ({ message }) =>
    reject(
      new AgentVmError("listen_failed", `Cannot listen for other servers on ${host}:${port}: ${message}`),
    ),
  );
  server.listen({ host, port, exclusive: true }, resolve);
  await promise;
}

/**
 * Puts the check of signatures in front of a server's listeners. A request without the signature of a server with the same secret,
 * an old one and a repeated one are refused. A question that begins nothing may be repeated.
 */
export function guardPeers(server: http.Server, deps: ListenerDeps): void {
  const nonces = new Nonces();
  const prove = ({ socket }: http.IncomingMessage, proof: Proof) => {
    const sealed = deps.seal.seal("answer", proof);
    if (!socket.destroyed) socket.write(`HTTP/1.1 103 Early Hints\r\n${PROOF_HEADER}: ${sealed}\r\n\r\n`);
  };
  const staleness = (message: Forwarded) => {
    if (beginsNothing(message)) return isLate(message) ? "clock" : undefined;
    return nonces.take(message);
  };
  const opened = (request: http.IncomingMessage): Forwarded | undefined => {
    const message = deps.seal.open("request", request.headers[PEER_HEADER], forwardedSchema);
    const { to, method, url } = message ?? {};
    const isMeant = to === deps.server && method === request.method && url === request.url;
    const reason = message === undefined || !isMeant ? "unsigned" : staleness(message);
    if (message === undefined || reason !== undefined) {
      deps.onRefused(reason ?? "unsigned");
      return undefined;
    }
    // A question can be repeated, so that its connection still counts as one without access.
    if (beginsNothing(message)) return message;
    const { nonce, grant } = message;
    deps.strangers.admit(request.socket);
    // The other server counts its client as one without access until the VM has checked the token.
    const tell = () => prove(request, { nonce, isHere: true, hasAccess: true });
    if (grant === undefined) deps.strangers.whenAdmitted(request.socket, tell);
    return message;
  };
  /** Says who answers, and whether it takes the request. @returns whether it does */
  const answer = async (request: http.IncomingMessage, { nonce, actorId, url }: Forwarded) => {
    const vm = url === SIGN_PATH ? undefined : await deps.here(actorId);
    if (request.socket.destroyed) return false;
    prove(request, { nonce, isHere: vm !== undefined });
    return vm !== undefined;
  };
  /** Says how VMs are. @returns whether the request asks that */
  const tellFacts = (request: http.IncomingMessage, response: http.ServerResponse): boolean => {
    if (request.url !== FACTS_PATH) return false;
    const question = openFactsQuestion(deps.seal, deps.server, request.headers[PEER_HEADER]);
    const reason = question === undefined ? "unsigned" : nonces.take(question);
    if (question === undefined || reason !== undefined) {
      deps.onRefused(reason ?? "unsigned");
      response.writeHead(401, { connection: "close" }).end();
      return true;
    }
    deps.strangers.admit(request.socket);
    const { nonce, actorIds, use = false } = question;
    void deps.facts(actorIds, use).then((facts) => {
      response.end(deps.seal.seal("facts answer", { nonce, facts }));
    });
    return true;
  };
  const letIn = (request: http.IncomingMessage, { grant }: Forwarded) => {
    // No program of a VM needs to see the signature.
    dropHeader(request, PEER_HEADER);
    if (grant !== undefined) deps.admit(request, grant);
  };

  putInFront(server, {
    request(request, response, pass) {
      if (tellFacts(request, response)) return;
      const message = opened(request);
      if (message === undefined) return void response.writeHead(401, { connection: "close" }).end();
      const release = holdBody(request);
      void answer(request, message).then((isHere) => {
        if (!isHere) return void response.writeHead(421, { connection: "close" }).end();
        letIn(request, message);
        release(() => {
          if (beginsNothing(message)) response.writeHead(204).end();
          else pass();
        });
      });
    },
    upgrade(request, socket, _head, pass) {
      socket.on("error", () => socket.destroy());
      const message = opened(request);
      if (message === undefined || beginsNothing(message))
        return void socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      void answer(request, message).then((isHere) => {
        if (!isHere)
          return void socket.end("HTTP/1.1 421 Moved\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        letIn(request, message);
        pass();
      });
    },
  });
}

/** Returns whether a request begins nothing: the other server asks whether this one has the VM, or lives. */
function beginsNothing({ method, url }: Forwarded): boolean {
  return method === "GET" && (url === QUESTION_PATH || url === SIGN_PATH);
}
