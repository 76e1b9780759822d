// The parts of prom-client's collectDefaultMetrics, which it does not type one by one.
declare module 'prom-client/lib/metrics/*.js' {
  const register: (registry: import('prom-client').Registry, config: object) => void;
  export default register;
}
