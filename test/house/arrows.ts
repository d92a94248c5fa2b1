/**
 * The rooms of `src` and the arrows between them. A file belongs to the room with the longest path that it equals or lies
 * below. Every room may use `api` and `base`.
 */
export interface Room {
  /** Rooms whose code a room loads. The room may use their types too. */
  uses?: readonly string[];
  /** Rooms of which a room uses only types, which the compiler erases. */
  types?: readonly string[];
}

const SANDBOX = "runtime/sandbox";
const KERNEL = "runtime/sandbox/kernel";
/** Small parts that every wing of the kernel sandbox may use. */
const KERNEL_PARTS = [`${KERNEL}/descriptors.ts`, `${KERNEL}/tools.ts`];
const STORE = "runtime/store";
const FILES = "runtime/filesystem";

/** Rooms that every room may use. */
export const COMMON: readonly string[] = ["api", "base"];

export const ROOMS: Readonly<Record<string, Room>> = {
  // Shared by client and server.
  api: {},
  base: {},
  client: { uses: ["client/rivet"] },
  "client/rivet": {},

  // Frameworks, for their users. Their only way to a VM is the client.
  adapters: { types: ["client"] },

  // Pages of a browser. Their only way to a VM is the client.
  react: { uses: ["client"] },
  element: { uses: ["client"] },
  // The console shows a VM's terminal on the screen of `<agent-vm-terminal>`.
  console: { uses: ["client", "element"] },

  // The server.
  "index.ts": {
    uses: ["actors", "cli", "http", "runtime", "runtime/host-functions", "runtime/mounts", STORE],
    types: ["monitoring", "runtime/options.ts"],
  },
  "server.ts": { uses: ["actors", "http", "rivet"] },
  "rivetkit.ts": { uses: ["rivet"] },
  cli: {
    uses: [
      "server.ts",
      "actors",
      "adapters",
      "backup",
      "client",
      "client/rivet",
      "http",
      "rivet",
      "runtime",
      "runtime/options.ts",
      KERNEL,
    ],
  },
  http: {
    uses: [
      "adapters",
      "client",
      "client/rivet",
      "directory",
      "monitoring",
      "rivet",
      "runtime/network/previews",
      "runtime/network/requests",
      SANDBOX,
      STORE,
    ],
    types: ["runtime", "runtime/network/outbound", "runtime/transfers", `${SANDBOX}/pool`],
  },
  // Copies of a data folder.
  backup: { uses: ["directory", "rivet"] },
  directory: { uses: ["rivet", "runtime/mounts", SANDBOX, STORE] },
  // Log, metrics, audit and health of a server.
  monitoring: { uses: ["rivet"], types: ["directory", "runtime", `${SANDBOX}/pool`] },
  rivet: { uses: ["client/rivet", STORE] },
  actors: {
    uses: ["http", "monitoring", "rivet", "runtime", "runtime/persistence", STORE],
    types: ["directory", "runtime/host-functions", "runtime/options.ts"],
  },

  // The VM, which assembles its rooms.
  runtime: {
    uses: [
      SANDBOX,
      `${SANDBOX}/factory.ts`,
      `${SANDBOX}/pool`,
      FILES,
      STORE,
      "runtime/cron",
      "runtime/host-functions",
      "runtime/machine",
      "runtime/mounts",
      "runtime/network",
      "runtime/option-values.ts",
      "runtime/options.ts",
      "runtime/persistence",
      "runtime/processes",
      "runtime/recordings",
      "runtime/services",
      "runtime/sessions",
      "runtime/sessions/agents",
      "runtime/shells",
      "runtime/tar",
      "runtime/transfers",
      "runtime/watches",
    ],
    types: [SANDBOX, "runtime/network/outbound"],
  },
  "runtime/options.ts": {
    uses: [
      "runtime/host-functions",
      "runtime/mounts",
      "runtime/option-values.ts",
      "runtime/services",
      "runtime/sessions/agents",
      "runtime/tar",
      `${SANDBOX}/system-calls.ts`,
    ],
  },
  "runtime/option-values.ts": { uses: [SANDBOX] },
  [STORE]: { types: ["runtime"] },

  // Rooms of a VM.
  "runtime/machine": {
    uses: ["runtime/persistence", STORE],
    types: ["runtime", "runtime/options.ts", SANDBOX],
  },
  "runtime/cron": { uses: [SANDBOX, STORE], types: ["runtime", "runtime/sessions"] },
  "runtime/host-functions": { types: ["runtime", SANDBOX] },
  "runtime/services": { uses: ["runtime/processes", SANDBOX, STORE], types: ["runtime"] },
  "runtime/mounts": {
    uses: [FILES, "runtime/option-values.ts", SANDBOX, STORE],
    types: ["runtime", "runtime/options.ts"],
  },
  [FILES]: { uses: [SANDBOX] },
  "runtime/transfers": { uses: [FILES, SANDBOX] },
  "runtime/watches": { uses: [FILES, SANDBOX, STORE], types: ["runtime"] },
  "runtime/tar": { uses: [FILES, SANDBOX, "runtime/transfers"] },
  "runtime/persistence": {
    uses: [FILES, "runtime/mounts", SANDBOX, STORE],
    types: ["runtime", "runtime/tar"],
  },
  "runtime/recordings": { uses: [STORE], types: ["runtime"] },
  "runtime/processes": { uses: [SANDBOX, STORE], types: ["runtime", "runtime/recordings"] },
  "runtime/shells": { uses: ["runtime/processes", SANDBOX], types: ["runtime", "runtime/recordings"] },
  "runtime/network": {
    uses: [
      "runtime/network/outbound",
      "runtime/network/previews",
      "runtime/network/requests",
      FILES,
      SANDBOX,
    ],
    types: ["runtime"],
  },
  "runtime/network/outbound": {
    uses: ["runtime/network/requests", SANDBOX, STORE],
    types: ["runtime"],
  },
  "runtime/network/previews": { uses: ["runtime/network/requests", STORE] },
  "runtime/network/requests": {},
  "runtime/sessions": {
    uses: [FILES, "runtime/sessions/agent-link", "runtime/sessions/transcript", SANDBOX],
    types: ["runtime", "runtime/sessions/agents"],
  },
  "runtime/sessions/agent-link": {
    uses: ["runtime/processes", "runtime/sessions/transcript", SANDBOX],
    types: ["runtime/sessions", "runtime/sessions/agents", FILES],
  },
  "runtime/sessions/agents": { uses: ["runtime/option-values.ts", SANDBOX] },
  "runtime/sessions/transcript": { uses: [STORE], types: ["runtime/sessions"] },

  // Sandboxes: the interfaces, the choice among them, and each kind.
  [SANDBOX]: { types: ["runtime/options.ts"] },
  [`${SANDBOX}/factory.ts`]: { uses: [KERNEL, `${SANDBOX}/memory`], types: [SANDBOX, "runtime/options.ts"] },
  // Sandboxes that are booted ahead.
  [`${SANDBOX}/pool`]: { uses: [SANDBOX], types: ["runtime/options.ts"] },
  [`${SANDBOX}/memory`]: { uses: [SANDBOX], types: ["runtime/options.ts"] },
  [KERNEL]: {
    uses: [
      SANDBOX,
      "runtime/options.ts",
      `${KERNEL}/boot`,
      `${KERNEL}/commands`,
      `${KERNEL}/descriptors.ts`,
      `${KERNEL}/files`,
      `${KERNEL}/helpers`,
      `${KERNEL}/host-checks`,
      `${KERNEL}/mounts`,
      `${KERNEL}/network`,
      `${KERNEL}/pool-place.ts`,
      `${KERNEL}/processes`,
      `${KERNEL}/procfs`,
      `${KERNEL}/seccomp`,
      `${KERNEL}/terminal`,
      `${KERNEL}/tools.ts`,
      `${KERNEL}/watch`,
    ],
  },
  [`${KERNEL}/tools.ts`]: {},
  [`${KERNEL}/pool-place.ts`]: {},
  [`${KERNEL}/procfs`]: { uses: [SANDBOX], types: [`${KERNEL}/pool-place.ts`] },
  [`${KERNEL}/descriptors.ts`]: { uses: [`${KERNEL}/procfs`] },
  [`${KERNEL}/helpers`]: {
    uses: [SANDBOX, `${SANDBOX}/system-calls.ts`, `${KERNEL}/procfs`, ...KERNEL_PARTS],
    types: [`${KERNEL}/commands`],
  },
  [`${KERNEL}/seccomp`]: {
    uses: [`${SANDBOX}/system-calls.ts`],
  },
  [`${SANDBOX}/system-calls.ts`]: {},
  [`${KERNEL}/files`]: { uses: [SANDBOX, `${KERNEL}/helpers`, `${KERNEL}/pool-place.ts`] },
  [`${KERNEL}/mounts`]: {
    uses: [SANDBOX, `${KERNEL}/helpers`, `${KERNEL}/watch`],
    types: [`${KERNEL}/files`],
  },
  [`${KERNEL}/commands`]: {
    uses: [`${KERNEL}/helpers`, `${KERNEL}/procfs`],
    types: [SANDBOX, `${KERNEL}/tools.ts`],
  },
  [`${KERNEL}/processes`]: {
    uses: [SANDBOX, `${KERNEL}/procfs`],
    types: ["runtime/options.ts", `${KERNEL}/commands`],
  },
  [`${KERNEL}/boot`]: {
    uses: [SANDBOX, `${KERNEL}/helpers`, `${KERNEL}/processes`, `${KERNEL}/procfs`, `${KERNEL}/tools.ts`],
    types: ["runtime/options.ts"],
  },
  [`${KERNEL}/host-checks`]: {
    uses: [
      SANDBOX,
      `${KERNEL}/boot`,
      `${SANDBOX}/system-calls.ts`,
      `${KERNEL}/network`,
      `${KERNEL}/processes`,
      `${KERNEL}/procfs`,
      `${KERNEL}/seccomp`,
      `${KERNEL}/tools.ts`,
    ],
  },
  [`${KERNEL}/network`]: {
    uses: [SANDBOX, `${KERNEL}/helpers`, `${KERNEL}/procfs`, `${KERNEL}/tools.ts`],
    types: [`${KERNEL}/commands`],
  },
  [`${KERNEL}/terminal`]: {
    uses: [SANDBOX, `${KERNEL}/commands`, `${KERNEL}/helpers`, `${KERNEL}/procfs`, ...KERNEL_PARTS],
  },
  [`${KERNEL}/watch`]: { uses: [SANDBOX, `${KERNEL}/helpers`] },
};
