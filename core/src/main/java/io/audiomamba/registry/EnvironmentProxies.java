package io.audiomamba.registry;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The proxies that a user's environment names, as curl and Python read it: {@code https_proxy}, {@code http_proxy},
 * {@code all_proxy} and {@code no_proxy}, in small or capital letters. The JVM's own properties
 * ({@code -Dhttps.proxyHost}) win.
 */
final class EnvironmentProxies extends ProxySelector {

    private static final int DEFAULT_PORT = 1080;

    private final Map<String, String> environment;

    /** @param environment variables and their values */
    EnvironmentProxies(Map<String, String> environment) {
        this.environment = environment;
    }

    @Override
    public List<Proxy> select(URI uri) {
        List<Proxy> ofJvm = ProxySelector.getDefault() == null
                ? List.of(Proxy.NO_PROXY)
                : ProxySelector.getDefault().select(uri);
        String named = variable(uri.getScheme() + "_proxy");
        String proxy = named.isEmpty() ? variable("all_proxy") : named;
        if (!ofJvm.equals(List.of(Proxy.NO_PROXY)) || proxy.isEmpty() || isExempt(uri.getHost())) {
            return ofJvm;
        }
        URI address = URI.create(proxy.contains("://") ? proxy : "http://" + proxy);
        int port = address.getPort() == -1 ? DEFAULT_PORT : address.getPort();
        return List.of(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(address.getHost(), port)));
    }

    private String variable(String name) {
        String small = environment.get(name);
        String value = small == null ? environment.get(name.toUpperCase(Locale.ROOT)) : small;
        return value == null ? "" : value.strip();
    }

    private boolean isExempt(String host) {
        return Arrays.stream(variable("no_proxy").split(",")).map(String::strip).filter(entry -> !entry.isEmpty())
                .anyMatch(entry -> entry.equals("*") || host.equalsIgnoreCase(entry)
                        || host.toLowerCase(Locale.ROOT).endsWith(
                                (entry.startsWith(".") ? entry : "." + entry).toLowerCase(Locale.ROOT)));
    }

    @Override
    public void connectFailed(URI uri, SocketAddress address, IOException e) {
        // The request that was to go through the proxy reports it.
    }
}
