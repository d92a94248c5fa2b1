import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const PARSER = ["/sbin/apparmor_parser", "/usr/sbin/apparmor_parser"].find(existsSync);
const PROFILE = readFileSync(join(import.meta.dirname, "../../deploy/apparmor/agent-vm"), "utf8");

test("AppArmor's parser compiles the profile", (context) => {
  if (PARSER === undefined) return context.skip("apparmor is not installed (apt-get install apparmor)");
  // Parsers before version 4 get the profile as docs/containers.md says.
  const hasUserns = existsSync("/etc/apparmor.d/abi/4.0");
  const text = hasUserns ? PROFILE : PROFILE.replace(/^.*(abi\/4\.0|userns,).*\n/gm, "");
  const { status, stderr } = spawnSync(PARSER, ["--skip-kernel-load", "--skip-cache"], {
    input: text,
    encoding: "utf8",
  });
  expect(stderr).not.toMatch(/error/i);
  expect(status).toBe(0);
});
