import {
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { MAX_HTTP2_REQUESTS, MAX_HTTP2_STREAMS } from "../../limits.ts";
import { type Framing, framingOf } from "../../requests/framing.ts";
import type { CredentialPlace } from "../credentials/rules.ts";
import type { Ahead } from "../http/ahead.ts";
import { HTTP2_FIRST } from "../http/ahead.ts";
import { failureOf } from "../http/failure.ts";
import type { OutgoingRequests, Target } from "../http/outgoing-requests.ts";
import { isSameHost } from "../http/parse-authority.ts";
import type { PreparedRequest } from "../http/prepared-request.ts";
import { answerStream } from "./answer-stream.ts";
import { forwardStream, pseudoless } from "./forward-stream.ts";
import { Http1Required, KeptSession } from "./kept-session.ts";

const { NGHTTP2_CANCEL, NGHTTP2_HTTP_1_1_REQUIRED, NGHTTP2_REFUSED_STREAM } = constants;

/** As in HTTP/1.1. nghttp2 takes 64 KiB from a program that does not acknowledge settings. */
const MAX_HEADER_BYTES = 16 * 1024;

/** Limits of one connection of a program. Node and nghttp2 end a session that floods them with frames. */
const SESSION = {
  maxSessionMemory: 8,
  maxSessionRejectedStreams: 200,
  streamResetBurst: 200,
  streamResetRate: 50,
  settings: { maxConcurrentStreams: MAX_HTTP2_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES },
};

/** A destination to which a program has opened a connection of HTTP/2. */
interface Origin extends Pick<Target, "destination" | "authority" | "isOpened"> {
  /** Where its requests lead, if the program speaks HTTP/2 without TLS. */
  place?: CredentialPlace | undefined;
}

/** Reads the requests of HTTP/2 of a VM's programs, and sends them on. All input comes from hostile programs. */
export class ProgramStreams {
  readonly #outgoing: OutgoingRequests;
  #open = 0;

  constructor(outgoing: OutgoingRequests) {
    this.#outgoing = outgoing;
  }

  /** Serves a connection. @param ahead connection to the outside that is open already */
  serve(socket: Duplex, origin: Origin, ahead?: Ahead): void {
    const session = performServerHandshake(socket, SESSION);
    // The session waits for this event, which only a tls.Server or a client emits (Node 24): without it no frame is read.
    if (origin.isOpened) socket.emit("secureConnect");
    session.on("error", () => session.destroy());
    const kept = new KeptSession(
      session,
      `${schemeOutside(origin)}://${origin.authority}`,
      (permit, signal) => this.#outgoing.open(origin, origin.place, permit, signal, HTTP2_FIRST),
      ahead,
    );
    session.on("stream", (stream, headers, _flags, rawHeaders) => {
      // A stream that its program resets has an error too.
      stream.on("error", () => undefined);
      if (this.#open >= MAX_HTTP2_REQUESTS) return void stream.close(NGHTTP2_REFUSED_STREAM);
      this.#open += 1;
      stream.once("close", () => {
        this.#open -= 1;
      });
      void this.#forward(stream, headers, rawHeaders, origin, kept);
    });
  }

  async #forward(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    raw: string[],
    origin: Origin,
    kept: KeptSession,
  ): Promise<void> {
    const abort = new AbortController();
    stream.once("close", () => abort.abort());
    const type = headers["content-type"] ?? "";
    const target = targetOf(headers, origin);
    if ("status" in target) return answerStream(stream, type, target.status, target.text);
    if (raw.reduce((sum, { length }) => sum + length, 0) > MAX_HEADER_BYTES)
      return answerStream(stream, type, 431, "agent-vm: the headers are too large");
    const fail = (error: Error) =>
      answerStream(stream, type, failureOf(error)[0], `agent-vm: ${error.message}`);
    try {
      const rawHeaders = pseudoless(raw);
      const framing = stream.endAfterHeaders ? {} : framingOfStream(rawHeaders);
      if (framing === undefined) return answerStream(stream, type, 400, "agent-vm: the length is not clear");
      const given = { rawHeaders, headers, body: stream };
      if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
      const { prepared, permit } = await this.#outgoing.prepare(given, target, framing, abort.signal);
      const outgoing = await kept.request(
        headersOf(prepared, target.method, schemeOutside(origin), headers),
        stream.endAfterHeaders,
        permit,
        abort.signal,
      );
      prepared.onUnreplaced((error) => {
        outgoing.close(NGHTTP2_CANCEL);
        fail(error);
      });
      forwardStream(stream, outgoing, prepared, fail);
    } catch (error) {
      if (stream.closed) return;
      if (error instanceof Http1Required) stream.close(NGHTTP2_HTTP_1_1_REQUIRED);
      else fail(error as Error);
    }
  }
}

/** Returns what a request's headers say about the length of its body. Frames of HTTP/2 say where it ends. */
function framingOfStream(rawHeaders: string[]): Framing | undefined {
  const framing = framingOf({ rawHeaders, httpVersion: "1.1" });
  return framing !== undefined && Object.keys(framing).length === 0
    ? { "transfer-encoding": ["chunked"] }
    : framing;
}

/** Returns the headers of a request on its way out. */
function headersOf(
  { path, headers, framing }: PreparedRequest,
  method: string,
  scheme: string,
  given: IncomingHttpHeaders,
): OutgoingHttpHeaders {
  const { host, ...others } = headers;
  return {
    ":method": method,
    ":scheme": scheme,
    ":authority": String(host),
    ":path": path,
    ...others,
    ...(framing["content-length"] && { "content-length": framing["content-length"][0] }),
    // gRPC servers want it.
    ...(given.te === "trailers" && { te: "trailers" }),
  };
}

function targetOf(headers: IncomingHttpHeaders, origin: Origin): Target | { status: number; text: string } {
  const { ":method": method = "", ":path": path = "", ":authority": authority, ":scheme": scheme } = headers;
  // TRACE would show the program its added headers, and CONNECT would nest tunnels.
  if (method === "TRACE" || method === "CONNECT") return refused(405, `${method} is not allowed`);
  // Programs reuse a connection for every name in its certificate. This one has a single name.
  const named = [authority, headers.host].filter((name) => name !== undefined);
  if (!named.every((name) => isSameHost(name, origin.destination)))
    return refused(421, `This connection is one to ${origin.authority}, not to another host`);
  const wanted = origin.isOpened ? "https" : "http";
  if (scheme !== wanted || !(path.startsWith("/") || path === "*"))
    return refused(400, `This connection is one to ${origin.authority}: request a path of ${wanted}`);
  // Hosts disagree whether a path ends there, so a rule for paths could match another path than the host's.
  if (path.includes("#")) return refused(400, "A request has no fragment: leave out #");
  return { ...origin, method, path };
}

/** A program may say `http` for a host of https. */
function schemeOutside({ isOpened, place }: Origin): "http" | "https" {
  return isOpened || place?.isTls === true ? "https" : "http";
}

function refused(status: number, text: string): { status: number; text: string } {
  return { status, text: `agent-vm: ${text}` };
}
