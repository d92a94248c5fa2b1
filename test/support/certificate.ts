import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Makes a self-signed certificate for these names, valid for a day. */
export async function makeCertificate(...names: string[]): Promise<{ key: string; cert: string }> {
  const cwd = await mkdtemp(join(tmpdir(), "agent-vm-tls-"));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  const alternatives = names.map((name) => `DNS:${name}`).join();
  const subject = ["-subj", `/CN=${names[0]}`, "-addext", `subjectAltName=${alternatives}`, "-days", "1"];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
  execFileSync(
    "openssl",
    ["req", "-x509", ...curve, "-nodes", "-keyout", "key", "-out", "cert", ...subject],
    {
      cwd,
      stdio: "ignore",
    },
  );
  return { key: readFileSync(join(cwd, "key"), "utf8"), cert: readFileSync(join(cwd, "cert"), "utf8") };
}
