# The Debian package: `ninja package`, or ./dev package. What is in it is what `cmake --install` installs.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sandcastle)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The Sandcastle developers <sandcastle@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "throw-away Linux machines made of this host's own files")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Sandcastle runs a command in a virtual machine that is made of the files of the
host it runs on, read-only below a layer in memory, and that is gone when the
command ends. It needs /dev/kvm and no privileges, no image and no daemon.")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
# Library packages and their least versions, from the programs themselves.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# Those that are loaded by name (common/lazy_lib.h).
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libarchive13, libxml2")
# A sandbox boots the host's own kernel; a host that has booted has one, a container has not.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS linux-image-amd64)
# The library: who links to it depends on this package, and ldconfig learns of it.
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/package)
include(CPack)
