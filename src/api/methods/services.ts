import { z } from "zod";
import { MAX_TIMEOUT_MS } from "../limits.ts";
import { args, bool, cwd, type Env, env, integer, offset, options, port, program } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";
import type { OutputChunk } from "./process-types.ts";

const method = methodsOf("services");

/** When the server starts a service again that has ended. `on-failure`: after an exit code other than 0. */
export type ServiceRestart = "always" | "on-failure" | "never";

/**
 * State of a service.
 *
 * - `waiting`: it starts when the services that it needs are ready, or with the next boot of the VM
 * - `starting`: it runs, and its port does not listen yet
 * - `ready`: it runs, and its port listens if it has one
 * - `backoff`: it has ended, and starts again after a pause
 * - `exited`: it has ended with 0 and does not start again; `failed`: with another exit code
 * - `stopped`: `stopService` has stopped it
 */
export type ServiceState = "waiting" | "starting" | "ready" | "backoff" | "exited" | "failed" | "stopped";

/** A program that the server keeps running in a VM. */
export interface ServiceOptions {
  /** Name of the service: letters, digits, dots, dashes and underscores, at most 64. */
  name: string;
  /** A program in the VM's PATH, or a path. */
  command: string;
  /** Arguments of the program. @default [] */
  args?: string[];
  /** Variables of the program, over those of every command. @default {} */
  env?: Env;
  /** Working directory. @default the VM's option `defaultCwd` */
  cwd?: string;
  /** Names of services that must be ready before this one starts. @default [] */
  needs?: string[];
  /** TCP port at which the service listens when it is ready. A request to the port waits for it. @default ready at once */
  port?: number;
  /** When the service starts again. @default "on-failure" */
  restart?: ServiceRestart;
  /** Pauses before it starts again. They double from the first to the longest. @default 1 s to 60 s */
  backoff?: {
    /** Milliseconds of the first pause, at least 100. @default 1,000 */
    initialMs?: number;
    /** Milliseconds of the longest pause, at least 100. @default 60,000 */
    maxMs?: number;
  };
  /** `true`: the VM stays awake while the service runs. @default false */
  keepAwake?: boolean;
}

/** A service and its state. */
export interface ServiceInfo extends Omit<ServiceOptions, "env"> {
  /** Names of its own variables. Their values may be secrets. */
  env: string[];
  /** State of the service. */
  state: ServiceState;
  /** Process id inside the VM; `null` while it does not run. */
  pid: number | null;
  /** Number of starts after the first since `startService` or the boot. */
  restarts: number;
  /** Exit code of the last end; `null` if it has not ended. */
  exitCode: number | null;
  /** Why the last start failed, for people; `null` if it did not. */
  error: string | null;
}

/** Options of `stopService`. */
export interface StopServiceOptions {
  /** `true` forgets the service. A service of the option `services` cannot be forgotten. @default false */
  remove?: boolean;
}

/** Options of `serviceLogs`. */
export interface ServiceLogsOptions {
  /** Only chunks whose `seq` is greater. @default -1, every kept chunk */
  after?: number;
}

/** Output of a service over all its starts. */
export interface ServiceLogs {
  /** Chunks, oldest first. The server keeps the newest 256 KiB of each service while the VM's actor is awake. */
  chunks: OutputChunk[];
  /** `true` when chunks after `after` are no longer kept. */
  truncated: boolean;
}

/** Schema of the name of a service. */
const name = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
  error: "a name of letters, digits, dots, dashes and underscores, at most 64",
});

const ms = integer(100, MAX_TIMEOUT_MS, `an integer of milliseconds from 100 to ${MAX_TIMEOUT_MS}`);

/** Schema of a service. */
export const service: z.ZodType<ServiceOptions> = z.strictObject({
  name,
  command: program,
  args: args.optional(),
  env: env.optional(),
  cwd: cwd.optional(),
  needs: z.array(name).max(32).optional(),
  port: port.optional(),
  restart: z.enum(["always", "on-failure", "never"]).optional(),
  backoff: z.strictObject({ initialMs: ms.optional(), maxMs: ms.optional() }).optional(),
  keepAwake: bool.optional(),
});

/** Programs that the server keeps running. */
export const SERVICE_METHODS = {
  /**
   * Starts a service, and keeps it: it starts again after a sleep. A running service of the same definition stays as it is;
   * another definition replaces it. A name starts a service that has ended or was stopped.
   *
   * @param service definition, or the name of a service
   * @returns the service as it is after the start; it may not be ready yet
   * @throws AgentVmError `service_not_found`, `limit_exceeded`; `invalid_argument` for needs that are unknown or circular
   * @example
   * ```ts
   * await vm.startService({ name: "web", command: "node", args: ["server.js"], port: 3000, restart: "always" });
   * ```
   */
  startService: method<(service: ServiceOptions | string) => Promise<ServiceInfo>>()({
    right: "exec",
    input: takes(["service", z.union([name, service], { error: "a service, or the name of one" })]),
    boots: true,
  }),
  /**
   * Stops a service: SIGTERM, and SIGKILL after 5 s. It stays stopped, also after a sleep, until `startService`.
   *
   * @param name name of the service
   * @param options `remove` forgets the service
   * @throws AgentVmError `service_not_found`; `invalid_argument` if the service cannot be removed
   */
  stopService: method<(name: string, options?: StopServiceOptions) => Promise<void>>()({
    right: "exec",
    input: takes(["name", name], ["options", options({ remove: bool.optional() }).optional()]),
  }),
  /** Returns all services of the VM with their states. Never boots the VM. */
  listServices: method<() => Promise<ServiceInfo[]>>()({ right: "exec", input: takes(), reads: true }),
  /**
   * Returns kept output of a service.
   *
   * @param name name of the service
   * @param options `after`: number of the last chunk that the caller has
   * @throws AgentVmError `service_not_found`
   */
  serviceLogs: method<(name: string, options?: ServiceLogsOptions) => Promise<ServiceLogs>>()({
    right: "exec",
    input: takes(
      ["name", name],
      ["options", options({ after: offset.or(z.literal(-1)).optional() }).optional()],
    ),
    reads: true,
  }),
};

export type ServiceMethods = CallsOf<typeof SERVICE_METHODS>;
