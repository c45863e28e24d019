package io.audiomamba.registry;

import io.audiomamba.error.EnvironmentException;
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
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The proxies that a user's environment names, as curl and Python read it: {@code https_proxy}, {@code http_proxy},
 * {@code all_proxy} and {@code no_proxy}, in small or capital letters. The JVM's own properties
 * ({@code -Dhttps.proxyHost}) win.
 */
final class EnvironmentProxies extends ProxySelector {

    private static final int DEFAULT_PORT = 1080;
    /** Credentials mean nothing: no proxy that asks for them is supported. */
    private static final Pattern ADDRESS = Pattern.compile("(?:(?<scheme>[^:/]+)://)?(?:[^@/]*@)?"
            + "(?<host>\\[[^]]+]|[^:/@\\[\\]\\s]+)(?::(?<port>\\d{1,5}))?/?");
    private static final int LARGEST_PORT = 65_535;

    /** @param name in the letters that it is set in */
    private record Variable(String name, String value) {}

    private final Map<String, String> environment;

    /** @param environment variables and their values */
    EnvironmentProxies(Map<String, String> environment) {
        this.environment = environment;
    }

    /** @throws EnvironmentException if the variable for {@code uri} does not name a proxy that is supported */
    @Override
    public List<Proxy> select(URI uri) {
        List<Proxy> ofJvm = ProxySelector.getDefault() == null
                ? List.of(Proxy.NO_PROXY)
                : ProxySelector.getDefault().select(uri);
        Variable own = variable(uri.getScheme() + "_proxy");
        Variable named = own.value().isEmpty() ? variable("all_proxy") : own;
        if (!ofJvm.equals(List.of(Proxy.NO_PROXY)) || named.value().isEmpty() || isExempt(uri.getHost())) {
            return ofJvm;
        }
        return List.of(proxy(named));
    }

    /** Java's client speaks to a proxy in HTTP, neither in SOCKS nor through TLS. */
    private static Proxy proxy(Variable named) {
        Matcher address = ADDRESS.matcher(named.value());
        boolean supported = address.matches()
                && (address.group("scheme") == null || address.group("scheme").equalsIgnoreCase("http"));
        int port = !supported || address.group("port") == null ? DEFAULT_PORT : Integer.parseInt(address.group("port"));
        if (!supported || port > LARGEST_PORT) {
            throw new EnvironmentException("The variable " + named.name()
                    + " of the environment names no proxy that is supported; it must be like http://HOST:PORT.");
        }
        return new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved(address.group("host"), port));
    }

    private Variable variable(String name) {
        String spelled = environment.containsKey(name) ? name : name.toUpperCase(Locale.ROOT);
        return new Variable(spelled, environment.getOrDefault(spelled, "").strip());
    }

    private boolean isExempt(String host) {
        return Arrays.stream(variable("no_proxy").value().split(",")).map(String::strip)
                .filter(entry -> !entry.isEmpty())
                .anyMatch(entry -> entry.equals("*") || host.equalsIgnoreCase(entry)
                        || host.toLowerCase(Locale.ROOT).endsWith(
                                (entry.startsWith(".") ? entry : "." + entry).toLowerCase(Locale.ROOT)));
    }

    @Override
    public void connectFailed(URI uri, SocketAddress address, IOException e) {
        // The request that was to go through the proxy reports it.
    }
}
