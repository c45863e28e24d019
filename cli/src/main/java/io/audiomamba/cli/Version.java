package io.audiomamba.cli;

import picocli.CommandLine.IVersionProvider;

/** The project's version, from the manifest of the jar. */
final class Version implements IVersionProvider {

    @Override
    public String[] getVersion() {
        String version = Version.class.getPackage().getImplementationVersion();
        return new String[] {"audiomamba " + (version == null ? "(unpackaged)" : version)};
    }
}
