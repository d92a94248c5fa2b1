import { expect, test } from "vitest";
import { ask, open, withScripted } from "../../support/scripted.ts";
import { startTestServer } from "../../support/servers.ts";

const TOKEN = "administrator's token";

test("a client gets a transcript as one response, if it has the right", async () => {
  const server = await startTestServer({ kind: "kernel", vm: withScripted, options: { token: TOKEN } });
  try {
    const admin = server.client({ token: TOKEN });
    const vm = admin.vm.getOrCreate("alice");
    const id = await open(vm);
    await ask(vm, id, "say one");
    const path = `${server.endpoint}/gateway/${await vm.resolve()}/request/bytes/transcript`;
    const get = async (query: string, token: string) =>
      await fetch(`${path}/${query}`, { headers: { "x-rivet-token": token } });
    const markdown = await get(id, TOKEN);
    expect(markdown.status).toBe(200);
    expect(await markdown.text()).toMatch(/^# Session [\s\S]*\n## Agent\n[\s\S]*\none\n/);
    const { events } = (await (await get(`${id}?format=json`, TOKEN)).json()) as { events: unknown[] };
    expect(events).toHaveLength((await vm.getSessionEvents(id)).length);
    expect((await get(`${id}?format=html`, TOKEN)).status).toBe(400);
    expect((await get("none", TOKEN)).status).toBe(404);
    expect((await get(id, "wrong")).status).toBe(401);
    const { token } = await admin.tokens.create({ vms: "alice", may: ["files"], expiresIn: 60 });
    expect((await get(id, token)).status).toBe(403);
  } finally {
    await server.stop();
  }
});
