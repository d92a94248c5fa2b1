import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readEnvironment } from "../../src/http/environment.ts";

const ROOT = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

/** Path of a value in a parsed file, `undefined` if it is not there. */
function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (found, key) => (found as Record<string | number, unknown> | undefined)?.[key],
    value,
  );
}

const dockerfile = read("Dockerfile");
const imageEnv = Object.fromEntries(
  (/^ENV (.*)$/m.exec(dockerfile)?.[1] ?? "").split(" ").map((pair) => pair.split("=")),
) as Record<string, string>;
const compose = at(parse(read("compose.yaml")), "services", "agent-vm");
const pod = at(parse(read("deploy/kubernetes/statefulset.yaml")), "spec", "template", "spec");
const container = at(pod, "containers", 0);

test("the image sets variables that the server reads", () => {
  const { host, port, dataDir } = readEnvironment(imageEnv);
  expect(host).toBe("0.0.0.0");
  expect(dockerfile).toContain(`EXPOSE ${port}\n`);
  expect(dockerfile).toContain(`VOLUME ${dataDir}\n`);
});

test("every variable in the files is documented", () => {
  const documented = read("docs/configuration.md");
  const files = ["Dockerfile", "compose.yaml", "deploy/kubernetes/statefulset.yaml"].map(read).join("\n");
  const names = new Set(files.match(/\bAGENT_VM_[A-Z_]+/g));
  expect(names.size).toBeGreaterThan(2);
  expect([...names].filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
});

test("compose and Kubernetes use the port and the data folder of the image", () => {
  expect(at(compose, "ports")).toEqual([`127.0.0.1:${imageEnv.PORT}:${imageEnv.PORT}`]);
  expect(at(compose, "volumes")).toEqual([`data:${imageEnv.AGENT_VM_DATA}`]);
  expect(at(container, "ports", 0, "containerPort")).toBe(Number(imageEnv.PORT));
  expect(at(container, "volumeMounts", 0, "mountPath")).toBe(imageEnv.AGENT_VM_DATA);
  expect(at(parse(read("deploy/kubernetes/service.yaml")), "spec", "ports", 0, "port")).toBe(
    Number(imageEnv.PORT),
  );
});

test("compose and Kubernetes wait for the whole shutdown", () => {
  // DRAIN_TIMEOUT_MS, and 60 s for the VMs.
  expect(at(compose, "stop_grace_period")).toBe("70s");
  expect(at(pod, "terminationGracePeriodSeconds")).toBe(70);
});

test("containers have an ordinary user without capabilities, both profiles and a whole /proc", () => {
  expect(dockerfile).toMatch(/^USER 1000:1000$/m);
  expect(at(compose, "cap_drop")).toEqual(["ALL"]);
  expect(at(compose, "security_opt")).toEqual([
    "no-new-privileges:true",
    "seccomp=deploy/seccomp.json",
    "systempaths=unconfined",
    "apparmor=agent-vm",
  ]);
  expect(at(pod, "hostUsers")).toBe(false);
  expect(at(pod, "securityContext")).toMatchObject({
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: "Localhost", localhostProfile: "agent-vm.json" },
    appArmorProfile: { type: "Localhost", localhostProfile: "agent-vm" },
  });
  expect(at(container, "securityContext")).toEqual({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
    procMount: "Unmasked",
  });
  expect(read("deploy/apparmor/agent-vm")).toMatch(/^profile agent-vm /m);
});

test("the kustomization lists the other manifests, which are whole", () => {
  const names = at(parse(read("deploy/kubernetes/kustomization.yaml")), "resources") as string[];
  const kinds = names.map((name) => at(parse(read(`deploy/kubernetes/${name}`)), "kind"));
  expect(kinds).toEqual(["StatefulSet", "Service", "NetworkPolicy"]);
});
