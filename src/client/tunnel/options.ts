import { invalidArgument, unknownOption } from "../../api/errors.ts";

type Check = (value: unknown) => boolean;

const isPort = (lowest: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= lowest && (value as number) <= 65_535;
const isText = (value: unknown) => typeof value === "string" && value !== "";

const CHECKS: Record<string, [check: Check, expected: string]> = {
  port: [isPort(1), "a port from 1 to 65535"],
  localPort: [isPort(0), "a port from 0 to 65535"],
  socketPath: [(value) => isText(value) && (value as string).startsWith("/"), "an absolute path"],
  localSocketPath: [isText, "a path"],
  host: [isText, "a host name or address"],
  localHost: [isText, "a host name or address"],
  name: [
    (value) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(String(value)) && value !== "host",
    "a name of lower-case letters, digits and dashes other than `host`",
  ],
  onError: [(value) => typeof value === "function", "a function"],
};

/** @throws AgentVmError `invalid_argument` for an option that is unknown or has another form */
export function checkTunnelOptions(
  action: string,
  options: object,
  known: readonly string[],
  required: readonly string[] = [],
): void {
  if (typeof options !== "object" || options === null) throw invalidArgument("options", "an object", options);
  for (const name of required) {
    const [check, expected] = CHECKS[name] as [Check, string];
    const value = (options as Record<string, unknown>)[name];
    if (!check(value)) throw invalidArgument(name, expected, value);
  }
  for (const [name, value] of Object.entries(options)) {
    const check = CHECKS[name];
    if (check === undefined || !known.includes(name)) throw unknownOption(action, name, known);
    if (value !== undefined && !check[0](value)) throw invalidArgument(name, check[1], value);
  }
}
