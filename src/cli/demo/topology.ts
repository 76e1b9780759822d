// The demo's mesh as data: who calls whom, what each kind of request does, and the tree of spans it must leave.

export const services = ['front-end', 'orders', 'inventory', 'payments'] as const;
export type ServiceName = (typeof services)[number];

export const calls: Readonly<Record<ServiceName, readonly ServiceName[]>> = {
  'front-end': ['orders'],
  orders: ['inventory', 'payments'],
  inventory: [],
  payments: [],
};

/** The port by which the services call one another, as in a cluster; the sidecars know the real ones. */
export const servicePort = 8080;

/** One exchange with a service: what it answers, and the calls it makes meanwhile, in order. */
export interface Exchange {
  readonly service: ServiceName;
  readonly method: string;
  readonly status: number;
  readonly calls: readonly Exchange[];
}

export interface Scenario {
  readonly title: string;
  readonly method: string;
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  readonly exchange: Exchange;
}

const exchange = (service: ServiceName, method: string, status: number, ...inner: Exchange[]): Exchange => ({
  service,
  method,
  status,
  calls: inner,
});

const browse = exchange('front-end', 'GET', 200, exchange('orders', 'GET', 200, exchange('inventory', 'GET', 200)));
const buy = exchange(
  'front-end',
  'POST',
  201,
  exchange('orders', 'POST', 201, exchange('inventory', 'POST', 201), exchange('payments', 'POST', 201)),
);
const failedBuy = exchange(
  'front-end',
  'POST',
  502,
  exchange('orders', 'POST', 502, exchange('inventory', 'POST', 201), exchange('payments', 'POST', 503)),
);

export const scenarios = {
  browse: { title: 'looking at a book', method: 'GET', path: '/products/book', exchange: browse },
  buy: {
    title: 'buying a book',
    method: 'POST',
    path: '/checkout',
    body: { item: 'book', amount: 20 },
    exchange: buy,
  },
  slow: {
    title: 'buying a sofa from the far warehouse (slow)',
    method: 'POST',
    path: '/checkout',
    body: { item: 'sofa', amount: 400 },
    exchange: buy,
  },
  failing: {
    title: 'buying a piano the bank does not pay (fails)',
    method: 'POST',
    path: '/checkout',
    body: { item: 'piano', amount: 9000 },
    exchange: failedBuy,
  },
} as const satisfies Record<string, Scenario>;

/** How many requests of each service an exchange causes, itself included. */
export function requestsByService(root: Exchange): Map<ServiceName, number> {
  const counts = new Map<ServiceName, number>();
  const visit = (node: Exchange) => {
    counts.set(node.service, (counts.get(node.service) ?? 0) + 1);
    node.calls.forEach(visit);
  };
  visit(root);
  return counts;
}

/** How many spans each service's sidecar makes of an exchange: one for itself, one for each call. */
export function spansByService(root: Exchange): Map<ServiceName, number> {
  const counts = new Map<ServiceName, number>();
  const visit = (node: Exchange) => {
    counts.set(node.service, (counts.get(node.service) ?? 0) + 1 + node.calls.length);
    node.calls.forEach(visit);
  };
  visit(root);
  return counts;
}
