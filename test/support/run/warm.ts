/**
 * Imports what servers import, so that their code is in the compile cache before tests start servers. A server that is killed
 * writes nothing into the cache.
 */
await Promise.all([
  import("../../../src/server.ts"),
  import("../../../src/cli/program.ts"),
  import("../../../src/cli/serve.ts"),
  import("../../../src/runtime/sandbox/kernel/factory.ts"),
  import("../../../src/runtime/sandbox/memory/memory-sandbox.ts"),
]);
process.exit();
