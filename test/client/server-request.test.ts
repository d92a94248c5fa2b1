import { expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { createClient } from "../../src/client/index.ts";
import type { registry } from "../../src/server.ts";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

test("a server that answers no lists and no tokens is named, with a hint about the endpoint", async () => {
  const { endpoint } = await startTestServer({ kind: "fake" });
  // No server answers below this path.
  await using client = createClient<typeof registry>({ endpoint: `${endpoint}/elsewhere` });
  for (const call of [() => client.vm.list(), () => client.tokens.list()]) {
    const error = await failure(call());
    expect(error).toBeInstanceOf(AgentVmError);
    expect(error).toMatchObject({
      code: "not_supported",
      message: "This server does not answer such requests",
      metadata: { hint: expect.stringMatching(/^Give the client the endpoint of an agent-vm server/) },
    });
  }
});
