import { z } from "zod";
import { MAX_BATCH_ENTRIES, MAX_TIMEOUT_MS } from "../limits.ts";
import { outboundSchema } from "../network-policy.ts";
import { type Bytes, bytes, integer, options, port, text } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

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
      /**
       * Rules of addresses that processes may reach if `onNetworkRequest` or `answerNetworkRequest` allows it, at most 256. A rule
       * of `allow` wins. @default []
       */
      ask?: string[];
      /** Rules of addresses that processes may not reach, although `allow` or `ask` has them, at most 256. @default [] */
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

/**
 * Reason of an entry in the network log besides the rules: `answered` by the handler or a client, `ask_timeout` without an answer
 * in time, `nobody_listens` for a question, `too_many_questions` at the same time, `handler_failed`, `limit_exceeded` of
 * `network.limits`.
 */
export type NetworkLogCode =
  | "answered"
  | "ask_timeout"
  | "nobody_listens"
  | "too_many_questions"
  | "handler_failed"
  | "limit_exceeded";

/** A connection to the outside that was denied, or that an answer has allowed. */
export interface NetworkLogEntry {
  /** Name or address that the program wanted to reach. */
  host: string;
  /** Port that the program wanted to reach. */
  port: number;
  /** Why the connection was denied or allowed. */
  reason: string;
  /** Kind of the reason; absent if a rule of the policy denied the connection. */
  code?: NetworkLogCode;
  /** `true` if an answer allowed the connection; absent for a denial. */
  allowed?: true;
  /** Time of the last such connection, in milliseconds since the Unix epoch. */
  time: number;
  /** Number of such connections in a row. */
  count: number;
  /** Process of the last one; absent when it could not be found. */
  pid?: number;
}

const wait = integer(1, MAX_TIMEOUT_MS, `milliseconds from 1 to ${MAX_TIMEOUT_MS}`);
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
  status: integer(100, 599, "an HTTP status from 100 to 599").optional(),
}).optional();

/** Network methods: the VM's own loopback and the outbound policy. */
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
   * Waits until a port listens and, with `path`, until it answers an HTTP request. A token needs the right `network` for `path`.
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
  /** Returns the newest 1,000 connections that were denied, or allowed by an answer, since the VM's actor woke, oldest first. */
  getNetworkLog: method<() => Promise<NetworkLogEntry[]>>()({
    right: "network",
    input: takes(),
    reads: true,
  }),
};

export type NetworkMethods = CallsOf<typeof NETWORK_METHODS>;
