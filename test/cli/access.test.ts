// @module-tag slow
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runProgram } from "../support/program.ts";
import { AGENT_VM_PROGRAM } from "../support/server-process.ts";
import { startTestServer } from "../support/servers.ts";
import { testFolder } from "../support/temporary-folder.ts";
import { until } from "../support/until.ts";

const TOKEN = "t0ken";

/** Milliseconds for some fifty programs on a busy machine. */
const BUSY_MS = 300_000;

test(
  "a server with a token: contexts, tokens, network, cron, previews, watches and any method",
  async () => {
    const server = await startTestServer({ kind: "kernel", process: true, env: { AGENT_VM_TOKEN: TOKEN } });
    const home = testFolder();
    const env: Record<string, string> = { HOME: home, XDG_CONFIG_HOME: home };
    const run = (args: string[], stdin = "", more = {}) =>
      runProgram([AGENT_VM_PROGRAM, ...args], { env: { ...env, ...more }, stdin });
    const out = async (args: string[], stdin = "", more = {}) => {
      const { code, stdout, stderr } = await run(args, stdin, more);
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
      return stdout;
    };

    // No server answers on a closed port, and a wrong token is refused.
    expect(await run(["ls", "--endpoint", "http://127.0.0.1:1"])).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/^agent-vm: .*agent-vm serve.*\n$/),
    });
    const refused = await run(["ls", "--json", "--endpoint", server.endpoint]);
    expect(refused.code).toBe(5);
    expect(JSON.parse(refused.stderr)).toMatchObject({ error: { code: "unauthorized" } });

    expect(await out(["context", "show"], "", { RIVET_ENDPOINT: server.endpoint })).toContain(
      "http://localhost:6420",
    );

    await out(["context", "add", "prod", "--endpoint", server.endpoint, "--token", "-"], `${TOKEN}\n`);
    await out(["context", "add", "other", "--endpoint", "http://127.0.0.1:1"]);
    const file = join(home, "agent-vm/config.json");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ current: "prod" });
    expect(await out(["context", "ls"])).not.toContain(TOKEN);
    expect(await out(["create", "one"])).toBe("one\n");
    // The token of the context goes to no other endpoint.
    expect(await run(["ls", "--endpoint", server.endpoint])).toMatchObject({ code: 5 });
    // Nor do the client's variables reach a server.
    const rivet = { RIVET_TOKEN: TOKEN, RIVET_ENDPOINT: server.endpoint };
    expect(await run(["ls", "--endpoint", server.endpoint], "", rivet)).toMatchObject({ code: 5 });
    expect(await out(["context", "show", "--endpoint", "https://ns:secret@vms.example.com"], "", rivet)).toBe(
      "context   -\nendpoint  https://vms.example.com\ntoken     yes\n",
    );
    await out(["context", "use", "other"]);
    expect(await run(["ls"])).toMatchObject({ code: 6 });
    expect(await out(["ls", "-q", "--context", "prod"])).toBe("one\n");
    expect(await run(["context", "use", "missing"])).toMatchObject({
      code: 2,
      stderr: 'agent-vm: No context is called "missing". Contexts: prod, other\n',
    });
    await out(["context", "use", "prod"]);

    const made = JSON.parse(
      await out(["token", "create", "--vm", "one", "--may", "read,exec", "--label", "ci", "--json"]),
    );
    expect(await out(["token", "ls"])).toMatch(new RegExp(`^${made.id}\tci\tone\tread,exec\t`));
    const limited = { AGENT_VM_TOKEN: made.token, AGENT_VM_ENDPOINT: server.endpoint };
    expect(await out(["exec", "one", "echo in"], "", limited)).toBe("in\n");
    expect(await run(["rm", "-y", "one"], "", limited)).toMatchObject({ code: 5 });
    expect((await run(["stats", "two"], "", limited)).stderr).toContain("token create --vm two --may");
    const wrong = await run(["ls", "--json", "--endpoint", server.endpoint, "--token", "wrong"]);
    expect(JSON.parse(wrong.stderr)).toMatchObject({
      error: {
        code: "unauthorized",
        message: "The token is not the server's",
        metadata: { reason: "invalid" },
      },
    });
    await out(["token", "revoke", made.id]);
    expect(await run(["stats", "one"], "", limited)).toMatchObject({ code: 5 });
    expect(await run(["token", "create", "--vm", "one", "--may", "fly"])).toMatchObject({ code: 2 });

    expect(await out(["net", "policy", "one"])).toBe("none\t\n");
    expect(await out(["net", "allow", "one", "*.example.com:443"])).toBe("allow\t*.example.com:443\n");
    expect(await out(["net", "policy", "one", "example.org", "--deny", "x.example.org"])).toBe(
      "allow\texample.org\ndeny\tx.example.org\n",
    );
    const id = (await out(["cron", "add", "--id", "nightly", "one", "0 3 * * *", "echo ran"])).trim();
    expect(id).toBe("nightly");
    await out(["cron", "run", "one", id]);
    await until(async () => (await out(["cron", "runs", "one", id])).includes("completed 0"));
    await out(["cron", "pause", "one", id]);
    expect(await out(["cron", "ls", "one"])).toMatch(/^nightly\t0 3 \* \* \*\tpaused\t-\t1\techo ran\n$/);
    await out(["cron", "rm", "one", id]);
    expect(await run(["cron", "run", "one", id])).toMatchObject({ code: 4 });

    expect(await run(["preview", "one", "3000", "--expires", "25h"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--expires"),
    });
    expect(await out(["preview", "one", "3000", "--expires", "10m"])).toMatch(/^http:\/\/\S+\n$/);
    const browser = join(home, "browser");
    writeFileSync(browser, `#!/bin/sh\necho "$1" > ${home}/opened\n`, { mode: 0o755 });
    const url = await out(["preview", "one", "3000", "--open"], "", { BROWSER: browser });
    await until(() => existsSync(join(home, "opened")) && readFileSync(join(home, "opened"), "utf8") === url);
    expect(await out(["preview", "ls", "one"])).toMatch(/^\S+\t\t3000\t/);

    const watching = out(["watch", "one:/workspace", "--count", "1", "--json"]);
    const vm = server.client({ token: TOKEN }).vm.get("one");
    await until(async () => (await vm.listWatches()).length > 0);
    await vm.writeFile("/workspace/seen", "x");
    expect(JSON.parse(await watching)).toMatchObject({ type: "created", path: "/workspace/seen" });
    expect(await vm.listWatches()).toEqual([]);

    await out(["call", "one", "setLabels", '{"tier":"free"}']);
    expect(JSON.parse(await out(["call", "--json", "one", "status"]))).toMatchObject({
      labels: { tier: "free" },
    });
    await out(["call", "one", "writeFile", "/workspace/number", "12"]);
    expect(await out(["cat", "one:/workspace/number"])).toBe("12");
    expect(await run(["call", "one", "fly"])).toMatchObject({ code: 4 });
  },
  BUSY_MS,
);
