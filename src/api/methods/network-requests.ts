import { z } from "zod";
import { id } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("network");

/** Destination outside that a program wants to reach, and for which a rule of `ask` wants an answer. */
export interface NetworkQuestion {
  /** Name or address, canonical. */
  host: string;
  /** Port. */
  port: number;
  /** HTTP method, if the server reads the request: plain HTTP through the proxy, and hosts with secrets. */
  method?: string;
  /** Path without query, at most 1,024 characters, if the server reads the request. */
  path?: string;
  /** Process that asked first; absent when it could not be found. */
  pid?: number;
}

/**
 * Answer to a `NetworkQuestion`. `"allow"`: also the next connections to the same destination, and with a method and path the next
 * such requests, until the policy changes or the VM's actor sleeps. `"once"`: the connections that wait. `"deny"`: these, and those
 * of the next minute.
 */
export type NetworkAnswer = "allow" | "once" | "deny";

/** A question that waits for an answer. */
export interface NetworkRequest extends NetworkQuestion {
  /** Id for `answerNetworkRequest`. */
  id: string;
  /** Time of the question, in milliseconds since the Unix epoch. */
  askedAt: number;
  /** Time at which the server denies the connection, in milliseconds since the Unix epoch. */
  expiresAt: number;
}

/** Methods for connections that wait for an answer. */
export const NETWORK_REQUEST_METHODS = {
  /** Lists the questions of the outbound policy that wait for an answer, oldest first. At most 32. */
  listNetworkRequests: method<() => Promise<NetworkRequest[]>>()({
    right: "network",
    input: takes(),
    reads: true,
  }),
  /**
   * Answers a question of the outbound policy, for all connections that wait for it. The first answer counts.
   *
   * @param id id of the event `networkRequest`, or of `listNetworkRequests`
   * @param answer `"allow"`, `"once"` or `"deny"`
   * @throws AgentVmError `network_request_not_found` if nothing waits under the id
   * @example
   * ```ts
   * connection.on("networkRequest", async ({ id, host, port }) => {
   *   await agent.answerNetworkRequest(id, (await confirm(`${host}:${port}?`)) ? "allow" : "deny");
   * });
   * ```
   */
  answerNetworkRequest: method<(id: string, answer: NetworkAnswer) => Promise<void>>()({
    right: "admin",
    input: takes(
      ["id", id],
      ["answer", z.enum(["allow", "once", "deny"], { error: '"allow", "once" or "deny"' })],
    ),
  }),
};

export type NetworkRequestMethods = CallsOf<typeof NETWORK_REQUEST_METHODS>;
