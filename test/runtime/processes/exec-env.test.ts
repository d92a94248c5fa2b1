// @module-tag any-user
import { describe, expect, test } from "vitest";
import { hostCertificates } from "../../../src/runtime/sandbox/host-certificates.ts";
import { cgroupSupport } from "../../../src/runtime/sandbox/kernel/processes/cgroup.ts";
import { startVm } from "../../support/vm.ts";

/** Variables of the network policy, which outbound.test.ts tests. */
const OF_THE_POLICY = /proxy|retry|retries|^(JAVA|MAVEN)_OPTS$/i;

/** Returns the variables of a command, without those of the network policy. */
async function envOf(
  vm: ReturnType<typeof startVm>["vm"],
  env?: Record<string, string>,
): Promise<Record<string, string>> {
  const { stdout } = await vm.execArgv("env", ["-0"], { env });
  return Object.fromEntries(
    stdout
      .split("\0")
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] as const)
      .filter(([name]) => !OF_THE_POLICY.test(name)),
  );
}

const BASE = {
  HOME: "/home/agentos",
  USER: "agentos",
  LOGNAME: "agentos",
  SHELL: "/bin/bash",
  PATH: [
    ...[".local/bin", "go/bin", ".cargo/bin", ".bun/bin", ".deno/bin", ".dotnet/tools", ".yarn/bin"].map(
      (folder) => `/home/agentos/${folder}`,
    ),
    "/home/agentos/.config/composer/vendor/bin",
    ...["pnpm", "pnpm/bin", "gem/bin"].map((folder) => `/home/agentos/.local/share/${folder}`),
    "/opt/agentos/bin",
    "/run/agentos/host/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  ].join(":"),
  PIP_BREAK_SYSTEM_PACKAGES: "1",
  PNPM_HOME: "/home/agentos/.local/share/pnpm",
  GEM_HOME: "/home/agentos/.local/share/gem",
  ...hostCertificates().env,
  ...(cgroupSupport().create && { GOMEMLIMIT: String(Math.floor(2 * 1024 ** 3 * 0.9)) }),
  LANG: "C.UTF-8",
  HOSTNAME: "agentos",
  PAGER: "cat",
  TMPDIR: "/tmp",
};

describe("a command's environment", () => {
  test("has the base variables and none of the host's", async () => {
    process.env.A_SECRET_OF_THE_HOST = "leaked";
    const { vm } = startVm();
    expect(await envOf(vm)).toEqual(BASE);
    expect((await vm.exec("env")).stdout).not.toContain("A_SECRET_OF_THE_HOST");
  });

  test("the actor's options override the base, and a call's options override both", async () => {
    const { vm } = startVm({ env: { FROM: "options", LANG: "de_DE.UTF-8" } });
    expect(await envOf(vm, { FROM: "call", EXTRA: "1" })).toEqual({
      ...BASE,
      LANG: "de_DE.UTF-8",
      FROM: "call",
      EXTRA: "1",
    });
  });

  test("values and names arrive verbatim", async () => {
    const { vm } = startVm();
    const env = {
      NEWLINES: "one\ntwo\n",
      QUOTES: `'"\`$HOME $(id) \\`,
      EMPTY: "",
      "dotted.name-with/odd:chars": "odd",
      UNICODE: "größe ✓",
      LONG: "x".repeat(100_000),
    };
    expect(await envOf(vm, env)).toEqual({ ...BASE, ...env });
  });

  test("a caller's LD_PRELOAD applies to the command only, not to the program that enters the VM", async () => {
    const { vm } = startVm();
    const source = `
      #include <stdio.h>
      #include <unistd.h>
      __attribute__((constructor)) static void loaded(void) {
        FILE *out = fopen("/home/agentos/loaded", "a");
        char caps[256], line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (fgets(line, sizeof line, status)) if (sscanf(line, "CapEff: %255s", caps) == 1) fprintf(out, "%s\\n", caps);
        fclose(status); fclose(out);
      }`;
    await vm.writeFile("/home/agentos/evil.c", source);
    const built = await vm.exec("gcc -shared -fPIC -o evil.so evil.c");
    expect(built).toMatchObject({ exitCode: 0, stderr: "" });
    expect((await vm.exec("true", { env: { LD_PRELOAD: "/home/agentos/evil.so" } })).exitCode).toBe(0);
    const loaded = Buffer.from(await vm.readFile("/home/agentos/loaded"))
      .toString()
      .trim()
      .split("\n");
    expect(new Set(loaded)).toEqual(new Set(["0000000000000000"]));
  });
});
