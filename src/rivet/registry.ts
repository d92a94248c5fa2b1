import { MAX_MESSAGE_BYTES } from "../api/limits.ts";
import type { Driver } from "./driver.ts";
import { missEngine } from "./engine-contact.ts";
import { orderQueues } from "./queue-turns.ts";
import {
  type Registry,
  type RegistryActors,
  type RegistryConfigInput,
  RegistryConfigSchema,
  RUNNER_PROTOTYPE,
  setup,
} from "./rivetkit.ts";
import { drainOverReconnects } from "./runner-drain.ts";
import { repeatLostRequests } from "./runner-repairs.ts";
import { joinStartReads } from "./start-reads.ts";

export type { Registry, RegistryActors } from "./rivetkit.ts";

/** RivetKit options that agent-vm sets itself. */
const DECIDED = [
  "token",
  "driver",
  "storagePath",
  "managerHost",
  "managerPort",
  "serveManager",
  "logging",
  "inspector",
  "maxIncomingMessageSize",
  "maxOutgoingMessageSize",
] as const satisfies (keyof RegistryConfigInput<RegistryActors>)[];

/** RivetKit options that a caller of `setup()` may set. */
export type RivetOptions<Actors extends RegistryActors> = Omit<
  RegistryConfigInput<Actors>,
  (typeof DECIDED)[number]
>;

/** Values of the options that agent-vm sets itself. */
interface DecidedOptions {
  host: string;
  port: number;
  logger: NonNullable<RegistryConfigInput<RegistryActors>["logging"]>["baseLogger"];
  /** Token of the inspector. The server never gives it out, so nobody can use the inspector. */
  inspectorToken: string;
  driver: Driver | undefined;
  /** Actors that an engine may give to this process at once; `undefined` without an engine. */
  slots: number | undefined;
  /** Whether the server answers clients behind an engine too. */
  isServing: boolean;
}

/** @returns the names of the RivetKit options that a caller of `setup()` may set. */
export function rivetOptionNames(): string[] {
  const decided: readonly string[] = DECIDED;
  return Object.keys(RegistryConfigSchema.in.shape).filter((option) => !decided.includes(option));
}

/** @returns the address of the Rivet Engine, read from the places where RivetKit reads it. */
export function engineOf(options: { endpoint?: string | undefined }): string | undefined {
  return (options.endpoint ?? process.env.RIVET_ENGINE ?? process.env.RIVET_ENDPOINT) || undefined;
}

/**
 * Makes RivetKit's registry with the defaults that a server of virtual machines needs.
 *
 * For RivetKit 2.2 and 2.3: turns off the welcome text, the `./public` folder and the inspector.
 */
export function makeRegistry<Actors extends RegistryActors>(
  options: RivetOptions<Actors>,
  decided: DecidedOptions,
): Registry<Actors> {
  const { host, port, logger, inspectorToken, driver, isServing, slots } = decided;
  const config: Omit<RegistryConfigInput<Actors>, "use"> = {
    noWelcome: true,
    publicDir: "",
    ...options,
    // In production RivetKit warns about a missing version, although only a server that runs VMs behind an engine needs one.
    ...(slots === undefined && { runner: { version: 1, ...options.runner } }),
    ...(hasSlots(slots) && { runner: { totalSlots: slots, ...options.runner } }),
    managerHost: host,
    managerPort: port,
    maxIncomingMessageSize: MAX_MESSAGE_BYTES,
    maxOutgoingMessageSize: MAX_MESSAGE_BYTES,
    logging: { baseLogger: logger },
    // With an engine RivetKit enables the inspector again.
    inspector: { enabled: false, token: () => inspectorToken },
    ...(driver && { driver }),
    // RivetKit serves nothing itself if it knows of an engine. The driver knows it.
    ...(isServing && { endpoint: "" }),
  };
  for (const definition of Object.values(options.use)) orderQueues(definition);
  if (slots !== undefined) {
    // Requests that are not joined are repeated too, so that the repetition is the inner layer.
    repeatLostRequests(RUNNER_PROTOTYPE);
    joinStartReads(RUNNER_PROTOTYPE);
    missEngine(RUNNER_PROTOTYPE);
    drainOverReconnects(RUNNER_PROTOTYPE);
  }
  const registry = setup<Actors>({ ...config, use: options.use });
  // Passed to `setup`, it would start the server at once.
  if (isServing) registry.config.serveManager = true;
  return registry;
}

/** Whether the server itself says how many actors it takes. RivetKit's variable goes before. */
function hasSlots(slots: number | undefined): slots is number {
  return Number.isSafeInteger(slots) && !process.env.RIVET_TOTAL_SLOTS;
}

/**
 * Returns a registry that is made on first use.
 *
 * RivetKit's Registry reads its configuration when it is made, so a module that exports a registry would check the
 * environment, and could fail, when it is imported for its type alone.
 */
export function lazyRegistry<Actors extends RegistryActors>(make: () => Registry<Actors>): Registry<Actors> {
  let made: Registry<Actors> | undefined;
  return new Proxy({} as Registry<Actors>, {
    get(_target, name) {
      made ??= make();
      const value: unknown = Reflect.get(made, name);
      // Methods of a class with private fields accept only its own instances as `this`.
      return typeof value === "function" ? value.bind(made) : value;
    },
  });
}
