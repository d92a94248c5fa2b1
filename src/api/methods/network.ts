import { z } from "zod";
import { MAX_BATCH_ENTRIES, MAX_PREVIEW_SECONDS, MAX_TIMEOUT_MS } from "../limits.ts";
import { outboundSchema } from "../network-policy.ts";
import { type Bytes, bytes, id, integer, options, port, text, WHOLE } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const actorMethod = methodsOf("actor");
const method = methodsOf("network");

/** Options of `vmFetch`. */
export interface VmFetchOptions {
  /** Any HTTP method except CONNECT. @default "GET" */
  method?: string;
  /** Headers by name, or as pairs when a name occurs more than once. @default {} */
  headers?: Record<string, string> | [string, string][];
  /** Body of the request. Dropped for GET and HEAD. @default none */
  body?: Bytes;
  /** Milliseconds until the whole response must have arrived. @default 30_000 */
  timeoutMs?: number;
}

/** Response of `vmFetch`. */
export interface VmFetchResponse {
  /** HTTP status. */
  status: number;
  /** Reason phrase of the status line. */
  statusText?: string;
  /** Headers as pairs: names in lower case, repeated names kept. */
  headers?: [string, string][];
  /** Body as sent: a compressed body stays compressed. */
  body: Uint8Array;
}

/** A TCP socket that listens inside a VM. */
export interface VmPort {
  /** Port number. */
  port: number;
  /** Address that the socket listens on, such as `"127.0.0.1"` or `"::"`. */
  address: string;
  /** Process that holds the socket; `null` when it cannot be found. */
  pid: number | null;
  /** Name of that process; `null` when it cannot be found. */
  command: string | null;
}

/** Options of `waitForPort`. */
export interface WaitForPortOptions {
  /** Milliseconds to wait. @default 30_000 */
  timeoutMs?: number;
  /** Also waits until a GET of this path is answered. @default only waits until the port listens */
  path?: string;
  /** HTTP status that the answer must have. @default any from 200 to 399 */
  status?: number;
}

/** A URL that opens a port to a browser. */
export interface PreviewUrl {
  /** Path below the actor's gateway URL. */
  path: string;
  /** Bearer token of this URL. Returned once; the server keeps only its hash. */
  token: string;
  /** End of the URL's life, in milliseconds since the Unix epoch. */
  expiresAt: number;
  /** Port inside the VM. */
  port: number;
  /**
   * URL for a browser: a host name of the preview's own, `http://TOKEN-ACTOR.localhost:6420/` or below `previewDomain`; `pathUrl`
   * if the server has no host names for previews.
   */
  url: string;
  /** URL below the server's own: `SERVER/gateway/ACTOR/request/fetch/TOKEN/`. Needs no name but the server's. */
  pathUrl: string;
}

/**
 * Addresses outside that the processes of a VM may reach: `none`, `all` (everything but the server's machine and metadata
 * services), or a list. A rule is a name (`"api.example.com"`), all names below one (`"*.example.com"`), an address or a
 * range (`"10.0.0.0/8"`). A rule holds for every port, or for the port behind it (`":5432"`).
 */
export type OutboundPolicy =
  | "none"
  | "all"
  | {
      /** Rules of addresses that processes may reach, at most 256. */
      allow: string[];
      /** Rules of addresses that processes may not reach, although `allow` has them, at most 256. @default [] */
      deny?: string[];
    };

/** Network policy of a VM. */
export interface NetworkPolicy {
  /** Addresses outside that processes may reach: `none`, `all`, or rules to allow and deny. */
  outbound: OutboundPolicy;
}

/** Network policy of a VM, as `getNetworkPolicy` returns it. */
export interface NetworkPolicyInfo extends NetworkPolicy {
  /** Names of the headers that the server adds, by origin. Values are never returned. */
  headers: Record<string, string[]>;
}

/** A connection to the outside that was denied. */
export interface NetworkLogEntry {
  /** Name or address that the program wanted to reach. */
  host: string;
  /** Port that the program wanted to reach. */
  port: number;
  /** Why the connection was denied. */
  reason: string;
  /** Time of the last denial, in milliseconds since the Unix epoch. */
  time: number;
  /** Number of denials in a row. */
  count: number;
  /** Process that was denied last; absent when it could not be found. */
  pid?: number;
}

/** A preview URL that has not expired. */
export interface PreviewInfo {
  /** Id for `expireSignedPreviewUrl`. It opens nothing. */
  id: string;
  /** Port inside the VM. */
  port: number;
  /** Time of creation, in milliseconds since the Unix epoch. */
  createdAt: number;
  /** End of the URL's life, in milliseconds since the Unix epoch. */
  expiresAt: number;
}

const wait = integer(1, MAX_TIMEOUT_MS, `milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
const previewRange = `${WHOLE}expiresInSeconds must be between 1 and ${MAX_PREVIEW_SECONDS}`;
const previewSeconds = z
  .number({ error: "a number of seconds" })
  .min(1, { error: previewRange })
  .max(MAX_PREVIEW_SECONDS, { error: previewRange });

const fetchOptions = options({
  method: text.optional(),
  headers: z
    .union([z.record(text, text), z.array(z.tuple([text, text])).max(MAX_BATCH_ENTRIES)], {
      error: "an object of strings, or an array of pairs of them",
    })
    .optional(),
  body: bytes.optional(),
  timeoutMs: wait.optional(),
}).optional();

const waitOptions = options({
  timeoutMs: wait.optional(),
  path: text.optional(),
  status: integer(100, 599, "an HTTP status").optional(),
}).optional();

/** Network methods: the VM's own loopback, preview URLs and the outbound policy. */
export const NETWORK_METHODS = {
  /**
   * Sends one HTTP request to a port inside the VM and returns the whole response. Redirects are not followed.
   *
   * @param port port of a server inside, on 127.0.0.1 or ::1
   * @param path path with query, sent unchanged
   * @param options method, headers, body and timeout
   * @throws AgentVmError `ECONNREFUSED` when nothing listens; `fetch_timeout`; `fetch_failed` when the connection breaks;
   * `response_too_large` above 31 MiB, use `stream: true` of this package's client instead
   * @example
   * ```ts
   * const { status, body } = await agent.vmFetch(3000, "/api/items", { headers: { accept: "application/json" } });
   * console.log(status, new TextDecoder().decode(body));
   * ```
   */
  vmFetch: method<(port: number, path: string, options?: VmFetchOptions) => Promise<VmFetchResponse>>()({
    right: "network",
    input: takes(["port", port], ["path", text], ["options", fetchOptions]),
    boots: true,
    long: true,
    signal: true,
    abortable: true,
  }),
  /** Lists the TCP sockets that listen inside the VM, by port and address. */
  listPorts: method<() => Promise<VmPort[]>>()({
    right: "network",
    input: takes(),
    boots: true,
    reads: true,
  }),
  /**
   * Waits until a port listens and, with `path`, until it answers an HTTP request.
   *
   * @param port port inside the VM
   * @param options timeout, path and status. @default waits 30 s for the port to listen
   * @throws AgentVmError `port_timeout`, which says what listened last
   */
  waitForPort: method<(port: number, options?: WaitForPortOptions) => Promise<void>>()({
    right: "network",
    input: takes(["port", port], ["options", waitOptions]),
    boots: true,
    reads: true,
    long: true,
    signal: true,
    abortable: true,
  }),
  /**
   * Creates a URL that opens a port to a browser, without any other credential. A VM has at most 1,024 preview URLs.
   *
   * @param port port inside the VM
   * @param expiresInSeconds life of the URL, from 1 to 86,400 seconds. @default 3_600
   * @throws AgentVmError `limit_exceeded`
   */
  createSignedPreviewUrl: actorMethod<(port: number, expiresInSeconds?: number) => Promise<PreviewUrl>>()({
    right: "network",
    input: takes(["port", port], ["expiresInSeconds", previewSeconds.optional()]),
  }),
  /**
   * Closes a preview URL and every connection through it. An unknown token does nothing.
   *
   * @param tokenOrId token of the URL, or its id from `listPreviews`
   */
  expireSignedPreviewUrl: method<(tokenOrId: string) => Promise<void>>()({
    right: "network",
    input: takes(["token", id]),
  }),
  /** Lists the preview URLs that have not expired, without their tokens. */
  listPreviews: method<() => Promise<PreviewInfo[]>>()({ right: "network", input: takes(), reads: true }),
  /**
   * Sets the external addresses that the VM's processes may reach. The policy is durable. Open connections that the new
   * policy denies are closed.
   *
   * @param policy `{ outbound }`: `none`, `all`, or rules to allow and deny
   * @throws AgentVmError `invalid_argument` for a rule that cannot be read
   */
  setNetworkPolicy: method<(policy: NetworkPolicy) => Promise<void>>()({
    right: "admin",
    input: takes(["policy", options({ outbound: outboundSchema })]),
  }),
  /** Returns the network policy, and the names of the headers that the server adds to requests. */
  getNetworkPolicy: method<() => Promise<NetworkPolicyInfo>>()({
    right: "network",
    input: takes(),
    reads: true,
  }),
  /** Returns the newest 1,000 denied connections since the VM's actor woke, oldest first. */
  getNetworkLog: method<() => Promise<NetworkLogEntry[]>>()({
    right: "network",
    input: takes(),
    reads: true,
  }),
};

export type NetworkMethods = CallsOf<typeof NETWORK_METHODS>;
