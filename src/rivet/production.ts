import process from "node:process";

/**
 * Runs this process in production unless NODE_ENV is set.
 *
 * For RivetKit 2.2, which opens routes, installs signal handlers and misdirects clients on other hosts in development.
 */
export function runInProduction(): void {
  process.env.NODE_ENV ||= "production";
}
