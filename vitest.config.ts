import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import LongestFirst from "./test/support/run/longest-first.ts";
import { slowFiles } from "./test/support/run/suites.ts";

/**
 * Files with a process of their own: slow files, and files that measure memory, descriptors, processes or the event loop of
 * their process. All other files share processes, which saves half a second of CPU per file, and must mock no module.
 */
export const ALONE = [
  ...slowFiles(),
  "test/actors/{cron,drain}.test.ts",
  "test/http/{admitted-sockets,preview-strangers,strangers}.test.ts",
  "test/http/peers/{engine-list-late,late-requests,live-facts,peering,router}.test.ts",
  "test/http/tunnels/{attacks,idle,tunnel-connection}.test.ts",
  "test/http/bodies/attacks.test.ts",
  "test/runtime/{room,vm-dispose}.test.ts",
  "test/runtime/sandbox/pool/sandbox-pool.test.ts",
  "test/runtime/cron/session.test.ts",
  "test/runtime/network/outbound/{gateway,gateway-attacks,outbound,proxy-only}.test.ts",
  "test/runtime/persistence/{bounded-trees,sparse-files,tree-limits}.test.ts",
  "test/runtime/sessions/{cancel,limits,memory,queue,races}.test.ts",
  "test/runtime/sessions/agent-link/{lines,messages}.test.ts",
  "test/runtime/sessions/transcript/event-bytes.test.ts",
  "test/base/line-splitter.test.ts",
  "test/element/terminal-element.test.ts",
  "test/runtime/processes/{byte-by-byte,replay-buffer}.test.ts",
  "test/runtime/sandbox/kernel/{descriptors,evasion}.test.ts",
  "test/runtime/sandbox/kernel/boot/{boot,host-uids}.test.ts",
  "test/runtime/sandbox/kernel/commands/hostile-spawner.test.ts",
  "test/runtime/sandbox/kernel/files/{deep-trees,descriptors}.test.ts",
  "test/runtime/mounts/attacks.test.ts",
  "test/runtime/sandbox/kernel/host-checks/{missing-parts,refusals,root-in-container,slow-host}.test.ts",
  "test/runtime/sandbox/kernel/helpers/{launcher,launcher-faults}.test.ts",
  "test/runtime/sandbox/kernel/network/connector.test.ts",
  "test/runtime/sandbox/kernel/processes/cgroup.test.ts",
  "test/runtime/sandbox/kernel/procfs/slack-tag.test.ts",
  "test/runtime/tar/import.test.ts",
  "test/runtime/watches/refusals.test.ts",
  "test/runtime/transfers/transfer-limits.test.ts",
  "test/rivet/{socket-pieces,value-file-failures}.test.ts",
];

/** Packages that a test has installed have tests of their own. */
const INSTALLED = "**/node_modules/**";

export default defineConfig({
  test: {
    // `npm run test:all` runs the slow tests. Continuous integration runs the any-user tests again as an ordinary user.
    tags: [
      {
        name: "slow",
        description: "Slow by nature: crash rounds, floods, package installs, browsers.",
        timeout: 300_000,
      },
      {
        name: "attack",
        description: "The file attacks a server or a VM. `npm run docs` lists its titles in docs/attacks.md.",
      },
      { name: "any-user", description: "The outcome depends on the user that runs the server." },
    ],
    // These timeouts end a test that hangs. On a busy machine a server may take half a minute to start, and a test may start three.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    // Events arrive at once, except on a busy machine.
    expect: { poll: { timeout: 60_000 } },
    sequence: { sequencer: LongestFirst },
    setupFiles: ["test/support/run/cpu-time.ts"],
    // Files that share a process share `setImmediate` too: work of an earlier file that meets a fake one never goes on.
    fakeTimers: { toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] },
    pool: "forks",
    // Tests spend much of their time waiting for processes.
    maxWorkers: availableParallelism() + 2,
    // `npm run coverage` measures every source file, also files that no test imports.
    coverage: { include: ["src/**/*.ts"], reporter: ["text"] },
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: [...ALONE, INSTALLED],
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", include: ALONE } },
    ],
  },
});
